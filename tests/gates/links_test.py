"""tools/check_links.py"""
from specimen import GateTest, main


class LinksTest(GateTest):
    def setUp(self):
        super().setUp()
        self.write("docs/b.md", "# One heading, two\n")
        self.write("README.md", "[b](docs/b.md#one-heading-two) [out](https://example.com/x)\n```\n[c](nowhere.md)\n```\n[docs](docs)\n")

    def check(self):
        return self.tool("check_links.py", self.root)

    def test_innocent_tree(self):
        self.assert_green(self.check())

    def test_missing_file(self):
        self.write("docs/c.md", "one\n[gone](../gone.md)\n")
        self.assert_red(self.check(), "docs/c.md:2: ../gone.md leads nowhere in this tree")

    def test_missing_heading(self):
        self.write("docs/c.md", "[b](b.md#three)\n")
        self.assert_red(self.check(), "docs/c.md:1: docs/b.md has no heading '#three'")

    def test_out_of_the_tree(self):
        self.write("docs/c.md", "[etc](../../../../../../etc)\n")
        self.assert_red(self.check(), "leads nowhere in this tree")


if __name__ == "__main__":
    main()
