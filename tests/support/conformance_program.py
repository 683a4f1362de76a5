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


def sleep():
    time.sleep(1000)


def write_forever(text):
    while True:
        sys.stdout.write(text)


def child(program, **pipes):
    """A process in the program's group; its number is told on standard error."""
    started = subprocess.Popen([sys.executable, "-c", program], **pipes)
    print(f"child {started.pid}", file=sys.stderr, flush=True)


def crash(reply):
    print("something is badly wrong", file=sys.stderr)
    sys.exit(3)


def kill(reply):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(reply):
    sleep()


def hang_with_a_child(reply):
    child("import time; time.sleep(1000)")
    sleep()


def crash_with_a_child(reply):
    child("import time; time.sleep(1000)")
    sys.exit(3)


def ignore_sigterm(reply):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep()


def close(reply):
    os.close(1)
    sleep()


def half_a_line(reply):
    sys.stdout.write(json.dumps(reply)[:20])
    sys.stdout.flush()
    sleep()


def no_line_end(reply):
    sys.stdout.write(json.dumps(reply))
    sys.exit(0)


def flood(reply):
    write_forever("x" * 100 + "\n")


def never_a_newline(reply):
    write_forever("x" * 2**16)


def a_large_reply(reply):
    sys.stdout.write('{"type": "result", "answer": {"loss": [' + "[1.5]," * 10**7 + "1]}}\n")
    sys.stdout.flush()


def flood_of_errors(reply):
    print("e" * 10**6, file=sys.stderr)
    child("while True: print('e' * 10**5)", stdout=sys.stderr, stdin=subprocess.DEVNULL)
    return True


def late(reply):
    time.sleep(1.5)
    return True


def twice(reply):
    say(reply)
    return True


def garbage(reply):
    lines = b'loading weights\n\xff\xfe\x00\n[1, 2]\n"ready"\n{"type": "hello"}\n\n' + b"[" * 5000 + b"\n"
    sys.stdout.buffer.write(lines)
    sys.stdout.flush()
    return True


#: What a program should not do, by name; each returns True where the answer still follows.
DEEDS = {
    deed.__name__.replace("_", " ").replace("sigterm", "SIGTERM"): deed
    for deed in (
        crash, kill, hang, hang_with_a_child, crash_with_a_child, ignore_sigterm, close, half_a_line, no_line_end,
        flood, never_a_newline, a_large_reply, flood_of_errors, late, twice, garbage,
    )
}  # fmt: skip


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
            elif id not in deeds or DEEDS[deeds[id]](reply):
                say(reply)


if __name__ == "__main__":
    main()
