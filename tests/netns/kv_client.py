"""A client of the service kv that must not notice a takeover: redis-py, each connection opened once.

usage: kv_client.py ADDRESS STOP_FILE

Works until STOP_FILE is there, on two connections, with a third one that is subscribed to what both publish. Prints "round N" after each round, and "done N" when every answer was right.
"""

import os
import sys
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ADDRESS, STOP_FILE = sys.argv[1:]


def connect():
    """One connection at most: `Worker.check` finds out if it was opened again."""
    pool = redis.ConnectionPool(
        host=ADDRESS,
        port=6379,
        max_connections=1,
        socket_timeout=20,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
    )
    return redis.Redis(connection_pool=pool)


class Worker:
    """Changes keys of its own, and knows what they must hold."""

    def __init__(self, name):
        self.name, self.client = name, connect()
        self.id = self.client.client_id()
        self.client.delete(*(self.key(kind) for kind in ("n", "l", "h", "z", "s", "t")))
        self.rounds = 0

    def key(self, kind):
        return f"{self.name}:{kind}"

    def round(self):
        number, client = self.rounds, self.client
        assert client.set(self.key("s"), f"value {number}")
        assert client.get(self.key("s")) == f"value {number}".encode()
        assert client.incr(self.key("n")) == number + 1
        self.pipeline(number)
        self.transaction(number)
        self.watched(number)
        assert client.publish("news", f"{self.name} {number}") == 1
        self.rounds += 1

    def pipeline(self, number):
        with self.client.pipeline(transaction=False) as pipe:
            for item in range(10):
                pipe.rpush(self.key("l"), f"{number}.{item}")
            pipe.lrange(self.key("l"), -10, -1)
            pipe.ltrim(self.key("l"), -20, -1)
            answers = pipe.execute()
        before = min(number * 10, 20)
        assert answers[:10] == [before + item + 1 for item in range(10)], answers
        assert answers[10] == [f"{number}.{item}".encode() for item in range(10)], answers

    def transaction(self, number):
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hset(self.key("h"), mapping={f"f{number % 50}": number, "last": number})
            pipe.zadd(self.key("z"), {f"m{number % 50}": number})
            pipe.zrevrange(self.key("z"), 0, 0)
            added, _, first = pipe.execute()
        assert added == (number < 50) + (number == 0), (number, added)
        assert first == [f"m{number % 50}".encode()], first

    def watched(self, number):
        client = self.client
        client.execute_command("WATCH", self.key("t"))
        held = int(client.get(self.key("t")) or 0)
        assert held == number, (held, number)
        if number % 2:
            # Somebody else's change, here our own: the transaction must not happen.
            client.set(self.key("t"), held)
            client.execute_command("MULTI")
            client.execute_command("SET", self.key("t"), "wrong")
            assert client.execute_command("EXEC") is None
            client.set(self.key("t"), held + 1)
        else:
            client.execute_command("MULTI")
            client.execute_command("SET", self.key("t"), held + 1)
            assert client.execute_command("EXEC") == [b"OK"]

    def check(self):
        client, last = self.client, self.rounds - 1
        assert client.client_id() == self.id, "it has connected again"
        assert int(client.get(self.key("n"))) == self.rounds
        assert client.get(self.key("s")) == f"value {last}".encode()
        assert int(client.get(self.key("t"))) == self.rounds
        newest = range(max(self.rounds - 50, 0), self.rounds)
        fields = {f"f{number % 50}".encode(): str(number).encode() for number in newest}
        assert client.hgetall(self.key("h")) == fields | {b"last": str(last).encode()}
        members = [(f"m{number % 50}".encode(), float(number)) for number in newest]
        assert client.zrange(self.key("z"), 0, -1, withscores=True) == members
        items = [f"{number}.{item}".encode() for number in newest for item in range(10)]
        assert client.lrange(self.key("l"), 0, -1) == items[-20:]


class Listener(threading.Thread):
    """Must hear every message of every worker once, in order."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self.pubsub = connect().pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe("news")
        # A connection that is opened again would be a new object here, or a new socket in it.
        self.socket = self.pubsub.connection._sock
        self.heard = {name: 0 for name in names}
        self.failure = None

    def run(self):
        try:
            while True:
                message = self.pubsub.get_message(timeout=20)
                if message is None:
                    continue
                name, number = message["data"].decode().split()
                assert int(number) == self.heard[name], message
                self.heard[name] += 1
        except Exception as failure:  # the main thread reports it
            self.failure = failure


def main():
    listener = Listener(["one", "two"])
    listener.pubsub.get_message(timeout=5)
    listener.start()
    workers = [Worker("one"), Worker("two")]
    while not os.path.exists(STOP_FILE):
        for worker in workers:
            worker.round()
        print("round", workers[0].rounds, flush=True)
        if listener.failure:
            raise listener.failure
    for worker in workers:
        worker.check()
    deadline = threading.Event()
    for _ in range(100):
        assert listener.pubsub.connection._sock is listener.socket, "it has connected again"
        if all(listener.heard[worker.name] == worker.rounds for worker in workers):
            print("done", workers[0].rounds, flush=True)
            return
        deadline.wait(0.05)
    sys.exit(f"messages are missing: {listener.heard}, {listener.failure}")


main()
