#!/bin/sh
# usage: cli.sh WAYBILL: what `waybill pipeline` prints and with which exit code it ends.
set -u
waybill=$1
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

expect() {  # expect CODE TEXT COMMAND…: the exit code, and a text that must be in the output
  code=$1; text=$2; shift 2
  out=$("$@" 2>&1); got=$?
  if [ "$got" != "$code" ]; then echo "FAILED: $*: exit code $got, expected $code"; echo "$out"; exit 1; fi
  case $out in *"$text"*) ;; *) echo "FAILED: $*: no '$text' in:"; echo "$out"; exit 1 ;; esac
}

cat >plain.yaml <<'YAML'
name: plain
schema: [{name: x}, {name: unit, type: text}]
transforms: [filter: {where: "x < 100"}]
sync: {budget: 64KiB, rules: [sample: {rate: 0.5}]}
YAML
printf 'x,unit\n1,a\n2,b\n500,c\n' >data.csv
printf '{"x":1,"unit":"a"}\n{"x":"one","unit":"a"}\n' >bad.ndjson
sed 's/infer.*/infer: {model: main}/' plain.yaml >model.yaml
echo 'infer: {model: main}' >>model.yaml

expect 0 "plain.yaml: ok: 2 fields" "$waybill" pipeline lint plain.yaml
expect 0 "not checked: model 'main' is not at hand" "$waybill" pipeline lint model.yaml
expect 0 '"ok": true' "$waybill" pipeline lint plain.yaml -o json
expect 78 "rules.yaml:9:7: unknown rule 'novell'; did you mean 'novel'?" "$waybill" pipeline lint "$here/bad/rules.yaml"
expect 78 '"line": 9' "$waybill" pipeline lint "$here/bad/rules.yaml" -o json
expect 78 "tab.yaml:3:1: a tab in the indentation" "$waybill" pipeline lint "$here/bad/tab.yaml"
expect 1 "cannot be opened" "$waybill" pipeline lint nothing.yaml
expect 0 "3 rows read, 0 could not be read, 1 filtered" "$waybill" pipeline test plain.yaml --data data.csv
expect 0 "x=1 unit=a → " "$waybill" pipeline test plain.yaml --data data.csv
expect 0 '"decision":"' "$waybill" pipeline test plain.yaml --data data.csv -o json
expect 1 "row 2: field 'x'" "$waybill" pipeline test plain.yaml --data bad.ndjson
expect 1 "give it with --model" "$waybill" pipeline test model.yaml --data data.csv
expect 2 "give --format csv or --format ndjson" "$waybill" pipeline test plain.yaml --data data
expect 2 "" "$waybill" pipeline lint
expect 0 "warning: it has no 'source'" "$waybill" pipeline lint plain.yaml
: >maim.wbm
expect 0 "or write infer.model: maim, which is beside the pipeline" "$waybill" pipeline lint model.yaml
rm maim.wbm
: >empty.csv
expect 1 "empty.csv" "$waybill" pipeline test plain.yaml --data empty.csv
printf 'x;unit\n1;a\n2;b\n' >semicolons.csv
expect 1 "seem to be split by ';'" "$waybill" pipeline test plain.yaml --data semicolons.csv
told=$("$waybill" pipeline test plain.yaml --data semicolons.csv 2>&1 | grep -c "seem to be split")
if [ "$told" != 1 ]; then echo "FAILED: the same reason stands there $told times"; exit 1; fi
expect 2 "unknown command 'lnit'; did you mean 'lint'?" "$waybill" pipeline lnit plain.yaml
expect 0 "json-schema.org" "$waybill" pipeline schema
expect 0 "### low_confidence" "$waybill" pipeline reference
echo "ok"
