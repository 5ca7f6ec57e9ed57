"""The determinism gate: tools/check_traces.py, over programs that print a trace as the simulator does."""
from specimen import GateTest, main

SAYS = "#!/bin/sh\necho \"seed $2 trace {hash}\"\n"
ONE = "0123456789abcdef"


class TracesTest(GateTest):
    def program(self, name, text):
        return self.write(name, text, mode=0o755)

    def check(self, *programs):
        return self.tool("check_traces.py", *programs, "--", "--seed", "7")

    def test_equal_traces(self):
        self.assert_green(self.check(self.program("a", SAYS.format(hash=ONE)), self.program("b", SAYS.format(hash=ONE))))

    def test_one_bit(self):
        other = self.program("b", SAYS.format(hash=ONE[:-1] + "e"))
        self.assert_red(self.check(self.program("a", SAYS.format(hash=ONE)), other), "the core is not deterministic", "--seed 7")

    def test_shorter_trace(self):
        longer = self.program("a", SAYS.format(hash=ONE + " " + ONE))
        self.assert_red(self.check(longer, self.program("b", SAYS.format(hash=ONE))), "differ from hash 2 on")

    def test_failing_program(self):
        self.assert_red(self.check(self.program("a", SAYS.format(hash=ONE)), self.program("b", "#!/bin/sh\nexit 3\n")), "exit code 3")

    def test_no_hash_is_no_verdict(self):
        self.assert_red(self.check(*[self.program(name, "#!/bin/sh\necho ok\n") for name in "ab"]), "printed no trace hash")


if __name__ == "__main__":
    main()
