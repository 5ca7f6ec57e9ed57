"""Prints "PASSED FAILED" of a ctest JUnit report. A test that was not run (disabled, skipped, missing) counts as failed:
a test that nobody runs proves nothing. Prints nothing if there is no report."""
import sys
import xml.etree.ElementTree as ElementTree


def main() -> None:
    try:
        suite = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError):
        return
    cases = suite.findall("testcase")
    passed = sum(1 for case in cases if case.get("status") == "run" and case.find("failure") is None)
    print(passed, len(cases) - passed)


if __name__ == "__main__":
    main()
