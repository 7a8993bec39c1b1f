#!/usr/bin/env bash
# Makes the types of the SDKs from the contract, api/openapi.yaml. With a folder as argument it writes there instead of
# into the SDKs, and a test compares. scripts/setup-test.sh brings the generators.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-.}
mkdir -p "$out/client" "$out/sdk/typescript/src" "$out/sdk/python/src/dialproof"
out=$(cd "$out" && pwd)
contract=$(mktemp --suffix .json)
trap 'rm -f "$contract"' EXIT
.cache/python/bin/python sdk/gen/filter.py api/openapi.yaml >"$contract"

# Go: plain structs. The first lines would be a second comment of the package.
(cd sdk/gen && go tool oapi-codegen -config go.yaml "$contract") |
	sed -e '1,2d' -e '3s/$/\n/' >"$out/client/types.gen.go"

# TypeScript: one file of types, which vanishes when it is compiled.
(cd sdk/typescript && npx --no-install openapi-typescript "$contract" --output "$out/sdk/typescript/src/contract.gen.ts" >/dev/null)

# Python: data classes of the standard library. TypeAlias is not in 3.9, and a plain assignment says the same.
models=$out/sdk/python/src/dialproof/models.py
.cache/python/bin/datamodel-codegen --input "$contract" --input-file-type openapi --output "$models" \
	--output-model-type dataclasses.dataclass --target-python-version 3.10 --no-use-union-operator --use-standard-collections \
	--use-schema-description --use-field-description --enum-field-as-literal all --output-datetime-class datetime \
	--formatters builtin --disable-timestamp --custom-file-header '# Made from api/openapi.yaml by sdk/generate.sh: do not edit.'
sed -i -E -e 's/^([A-Za-z]+): TypeAlias = /\1 = /' -e 's/, TypeAlias$//' -e 's/^from typing import TypeAlias$//' "$models"
