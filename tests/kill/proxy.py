"""A TCP proxy that misbehaves between an agent and its hub. TLS goes through it untouched, so the certificate's name still holds: it
listens on 127.0.0.1, and the node's hub URL names its port.

`fault` may be changed at any time and holds for connections that exist as well: none, refuse, latency, trickle, half_open, cut, reset.
"""
import asyncio
import random
import socket
import struct
import threading

CHUNK_BYTES = 16 << 10
FAULTS = ("none", "refuse", "latency", "trickle", "half_open", "cut", "reset")


class FaultProxy:
    def __init__(self, port, seed=1):
        self.target = port
        self.fault = "none"
        self.dice = random.Random(seed)
        self.connections = 0
        self.met = dict.fromkeys(FAULTS, 0)  # how often each fault was applied
        self.open = set()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def set(self, fault):
        """Applies to what is open as well: what comes next on it meets the fault."""
        assert fault in FAULTS, fault
        self.fault = fault

    def drop_all(self):
        """Every open connection is reset, as by a router that forgot them."""
        self.loop.call_soon_threadsafe(lambda: [self.abort(writer) for writer in list(self.open)])

    async def serve(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        try:
            if self.fault == "refuse":
                self.met["refuse"] += 1
                return self.abort(writer)
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self.pump(reader, there_writer, writer), self.pump(there_reader, writer, there_writer),
                                 return_exceptions=True)
        except OSError:
            self.abort(writer)
        finally:
            self.open.discard(writer)

    async def pump(self, reader, writer, other):
        """One direction, until it ends. What ends it ends both."""
        cut_after = self.dice.randint(1, 8 << 10)
        passed = 0
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                fault = self.fault
                self.met[fault] += 1
                if fault == "latency":
                    await asyncio.sleep(self.dice.uniform(0.2, 0.8))
                if fault == "half_open":  # nothing is read any more and nothing is closed
                    while self.fault == "half_open":
                        await asyncio.sleep(0.1)
                    return self.abort(writer), self.abort(other)
                if fault in ("cut", "reset") and passed + len(chunk) > cut_after:
                    writer.write(chunk[:max(0, cut_after - passed)])
                    if fault == "cut":
                        await writer.drain()
                        return writer.close(), other.close()
                    return self.abort(writer), self.abort(other)
                passed += len(chunk)
                step = 97 if fault == "trickle" else len(chunk)
                for at in range(0, len(chunk), step):
                    writer.write(chunk[at:at + step])
                    await writer.drain()
                    if fault == "trickle":
                        await asyncio.sleep(0.02)
            writer.close()
        except OSError:
            self.abort(writer)
            self.abort(other)
        return None

    @staticmethod
    def abort(writer):
        raw = writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    def close(self):
        async def end():
            self.server.close()
            mine = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
