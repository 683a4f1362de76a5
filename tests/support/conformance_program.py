"""A program under test that can misbehave: ``python conformance_program.py PLAN.json``, as npscore conform runs it.

The plan is {"replies": {id: message}, "deeds": {id or "start" or "restart": deed}, "ready": message, "heard": file,
"raw": {id: text}}: what it answers, what it does instead, how it says that it is ready, where it keeps a copy of every
line it hears, and bytes (as Latin-1) to write in place of a reply.
"""

import json
import os
import signal
import subprocess
import sys
import time


def say(message):
    print(json.dumps(message), flush=True)


def misbehave(deed, reply):
    """Do something that a program should not do; True where the answer still follows."""
    if deed == "crash":
        print("something is badly wrong", file=sys.stderr)
        sys.exit(3)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(1000)
    if deed == "hang with a child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        time.sleep(1000)
    if deed == "half a line":
        sys.stdout.write(json.dumps(reply)[:20])
        sys.stdout.flush()
        time.sleep(1000)
    if deed == "close":
        os.close(1)
        time.sleep(1000)
    if deed == "flood":
        while True:
            print("x" * 100)
    if deed == "never a newline":
        while True:
            sys.stdout.write("x" * 2**16)
    if deed == "a large reply":
        sys.stdout.write('{"type": "result", "answer": {"loss": [' + "[1.5]," * 10**7 + "1]}}\n")
        sys.stdout.flush()
    if deed == "no line end":
        sys.stdout.write(json.dumps(reply))
        sys.exit(0)
    if deed == "flood of errors":
        print("e" * 10**6, file=sys.stderr)
        subprocess.Popen(
            [sys.executable, "-c", "while True: print('e' * 10**5)"],
            stdout=sys.stderr,
            stdin=subprocess.DEVNULL,
        )
    if deed == "ignore SIGTERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"child {os.getpid()}", file=sys.stderr, flush=True)
        time.sleep(1000)
    if deed == "crash with a child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        sys.exit(3)
    if deed == "late":
        time.sleep(1.5)
    if deed == "twice":
        say(reply)
    if deed in ("flood of errors", "late", "twice"):
        return True
    if deed == "garbage":
        sys.stdout.buffer.write(
            b'loading weights\n\xff\xfe\x00\n[1, 2]\n"ready"\n{"type": "hello"}\n\n' + b"[" * 5000 + b"\n"
        )
        sys.stdout.flush()
    return deed == "garbage"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    deeds = plan.get("deeds", {})
    with open(plan["heard"], "a", encoding="ascii") as heard:
        for line in sys.stdin:
            heard.write(line)
            heard.flush()
            message = json.loads(line)
            if message["type"] == "stop":
                return
            again = "restart" in deeds and os.path.getsize(plan["heard"]) > len(line)
            id = message["case"]["id"] if message["type"] == "run" else "restart" if again else "start"
            reply = plan.get("ready", {"type": "ready"})
            if message["type"] == "run":
                reply = plan["replies"].get(id, {"type": "skipped", "reason": "not in the plan"})
            if id in plan.get("raw", {}):
                sys.stdout.buffer.write(plan["raw"][id].encode("latin-1"))
                sys.stdout.flush()
            elif id not in deeds or misbehave(deeds[id], reply):
                say(reply)


if __name__ == "__main__":
    main()
