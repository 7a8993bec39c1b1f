"""Takes out of the contract what SDKs need: the schemas of their operations. Usage: filter.py CONTRACT

The rest of the contract is the operator's and the browser's, and may change without a change of any SDK.
"""

import json
import sys

import yaml

OPERATIONS = {
    "startVerification", "listVerifications", "checkByNumber", "getVerification", "checkVerification", "resendVerification", "cancelVerification",
    "handsetMessages", "createLink",
}  # fmt: skip


def names(node):
    """What a piece of the contract refers to."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield tuple(value.split("/")[2:])
            else:
                yield from names(value)
    elif isinstance(node, list):
        for value in node:
            yield from names(value)


with open(sys.argv[1], encoding="utf-8") as file:
    contract = yaml.safe_load(file)
found = {o["operationId"]: o for path in contract["paths"].values() for o in path.values() if isinstance(o, dict) and "operationId" in o}
missing = OPERATIONS - found.keys()
if missing:
    sys.exit(f"the contract has no operation {', '.join(sorted(missing))}")
todo, kept = [n for o in OPERATIONS for n in names(found[o])], set()
while todo:
    name = todo.pop()
    if name not in kept:
        kept.add(name)
        todo += names(contract["components"][name[0]][name[1]])
schemas = {n: s for n, s in contract["components"]["schemas"].items() if ("schemas", n) in kept}
json.dump({"openapi": contract["openapi"], "info": contract["info"], "paths": {}, "components": {"schemas": schemas}}, sys.stdout, indent=1, default=str)
