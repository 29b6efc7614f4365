"""redis-cli at a terminal, as people use it, that must not notice a takeover.

usage: kv_terminal.py ADDRESS STOP_FILE

Types commands until STOP_FILE is there. Prints "round N" after each round, and "done N" when every answer was right.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

ADDRESS, STOP_FILE = sys.argv[1:]
PATIENCE = 20


class Terminal:
    """A pseudo terminal with redis-cli in it."""

    def __init__(self):
        self.prompt = f"{ADDRESS}:6379> ".encode()
        pid, self.terminal = pty.fork()
        if pid == 0:
            # Else it asks the terminal how wide it is, and nobody answers.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
            os.environ["TERM"] = "xterm"
            os.execvp("redis-cli", ["redis-cli", "-h", ADDRESS])
        self.seen = b""
        self.read_until(self.prompt)

    def read_until(self, end):
        """What comes before `end`; the rest is kept."""
        while end not in self.seen:
            ready, _, _ = select.select([self.terminal], [], [], PATIENCE)
            assert ready, f"no {end} after {self.seen}"
            self.seen += os.read(self.terminal, 4096)
        before, _, self.seen = self.seen.partition(end)
        return before.decode()

    def ask(self, command):
        """Types a command. Until the line ends, the prompt is painted again at every key."""
        os.write(self.terminal, command.encode() + b"\r")
        self.read_until(b"\n")
        return self.read_until(self.prompt).replace("\r\n", "\n").strip()


def main():
    terminal = Terminal()
    # Its words come from the server: COMMAND DOCS.
    summary = terminal.ask("HELP INCR")
    assert "INCR" in summary and "summary:" in summary, summary
    number = terminal.ask("CLIENT ID")
    rounds = 0
    while not os.path.exists(STOP_FILE):
        rounds += 1
        for command, right in [
            ("INCR clicks", f"(integer) {rounds}"),
            (f'SET words "round {rounds}"', "OK"),
            ("GET words", f'"round {rounds}"'),
        ]:
            answer = terminal.ask(command)
            assert answer == right, (command, answer, right)
        print("round", rounds, flush=True)
    assert terminal.ask("CLIENT ID") == number, "it has connected again"
    print("done", rounds, flush=True)


main()
