/* The whole library in one include: open a model, ask it, continue text. examples/ shows complete programs. */
#ifndef FALCONER_FALCONER_H
#define FALCONER_FALCONER_H

#include <falconer/error.h>
#include <falconer/generate.h>
#include <falconer/gguf.h>
#include <falconer/grammar.h>
#include <falconer/log.h>
#include <falconer/model.h>
#include <falconer/sampling.h>
#include <falconer/session.h>
#include <falconer/tokenizer.h>
#include <falconer/version.h>

#endif
