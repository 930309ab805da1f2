"""Reads the JUnit files that junit_test.cpp wrote with a real parser; fails when one is wrong."""
import sys
import xml.etree.ElementTree as ET

for path in sys.argv[1:]:
    root = ET.parse(path).getroot()
    cases = root.findall("./testsuite/testcase")
    assert root.tag == "testsuites" and cases, path
    for level in (root, root.find("testsuite")):
        assert int(level.get("tests")) == len(cases), path
        assert int(level.get("failures")) == len(root.findall(".//failure")), path
        assert int(level.get("errors")) == len(root.findall(".//error")), path
    for case in cases:
        assert case.get("name") and case.get("classname"), path
        assert len(case) <= 1, path
    print(path, len(cases), "checks")
