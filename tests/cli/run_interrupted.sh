. "$TOOLS"
need python3
model falcon-40b-like
# Ctrl-C ends the answer; what is there is printed, also as JSON, and the exit code tells. The slow device is not done
# before the signal comes.
cat >interrupt.py <<'END'
import os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
if "--json" in sys.argv:
    time.sleep(1)
else:
    p.stdout.read1(1)
p.send_signal(signal.SIGINT)
out, err = p.communicate(timeout=60)
print(p.returncode, err.decode().strip(), len(out) > 0, out.endswith(b"\n"))
END
python3 interrupt.py "$FALCONER" run -m "$MODEL" -p Hello -n 2000 --ignore-end
python3 interrupt.py "$FALCONER" run -m "$MODEL" -p Hello -n 8000 --ignore-end --device ref --json
