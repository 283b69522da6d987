#!/usr/bin/python3
"""Writes the files of this folder with PyTorch itself (Debian: python3-torch). Run it here; the files are committed."""
import collections
import pathlib

import torch

here = pathlib.Path(__file__).parent
numbers = torch.arange(12, dtype=torch.float32)

state = collections.OrderedDict()
state["matrix"] = numbers[:6].reshape(2, 3).clone()
state["half"] = torch.nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 65504.0]]).half())
state["brain"] = torch.tensor([1.0, -1.5, 3.0e38]).bfloat16()
state["whole"] = numbers.clone()
state["tail"] = state["whole"][8:]
state["tied"] = state["matrix"]
state["scalar"] = torch.tensor(7.0)
state["column"] = numbers[:3].clone().reshape(3, 1).t()
state["empty"] = torch.zeros(0, 4)
state["positions"] = torch.arange(3)
state["double"] = torch.ones(2, dtype=torch.float64)
state._metadata = {"": {"version": 1}}
torch.save(state, here / "state.bin")

torch.save({"flat": numbers[:2].clone(), "step": 3, "rate": 0.5, "name": "run"}, here / "plain_dictionary.bin")
torch.save({"matrix": numbers[:6].reshape(2, 3).t()}, here / "transposed.bin")
torch.save({"model": {"matrix": numbers[:2].clone()}}, here / "nested.bin")
torch.save({"matrix": numbers[:2].clone()}, here / "before_1_6.bin", _use_new_zipfile_serialization=False)
