#!/usr/bin/env bash
# waybill sim as a person uses it with scenarios. usage: cli.sh WAYBILL
set -euo pipefail
waybill=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "cli.sh: $*" >&2; exit 1; }
expect() {  # expect CODE TEXT COMMAND…: that exit code, and the text somewhere in the output
  local code=$1 text=$2 got=0
  shift 2
  "$@" >"$work/out" 2>&1 || got=$?
  [ "$got" = "$code" ] || fail "$* ended with $got, not $code: $(cat "$work/out")"
  grep -qF -- "$text" "$work/out" || fail "$* does not say '$text': $(cat "$work/out")"
}
json() { /usr/bin/python3 -c 'import json, sys; out = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

# What a seed draws, written down, is the same history.
small=(--nodes 3 --days 1)
seed=$("$waybill" sim --seed 7 "${small[@]}" --output json | json 'out["seeds"][0]["trace"]')
expect 0 "written to" "$waybill" sim --seed 7 "${small[@]}" --describe --write "$work/seven.scenario"
again=$("$waybill" sim --scenario "$work/seven.scenario" --output json | json 'out["scenarios"][0]["trace"]')
[ "$seed" = "$again" ] || fail "seed 7 left the trace $seed, and the scenario that describes it $again"

# A seed that holds is nothing to make small; a promise that nobody broke neither.
expect 1 "there is nothing to make small" "$waybill" sim --seed 7 "${small[@]}" --minimise
expect 1 "holds Q3: there is nothing to make small" "$waybill" sim --scenario "$work/seven.scenario" --minimise --promise Q3

# What was expected and is not so is told, and ends in 1; a fault of the text in 78, with its line and the nearest name.
cp "$work/seven.scenario" "$work/unmet.scenario"
echo "expect hub_outages >= 1000" >>"$work/unmet.scenario"
expect 1 "expected hub_outages >= 1000; it is " "$waybill" sim --scenario "$work/unmet.scenario"
expect 1 "1 of 2 scenarios went as they say" "$waybill" sim --scenario "$work/seven.scenario" "$work/unmet.scenario"
printf 'seed 1\nat 0d01:00 hub_restor\n' >"$work/bad.scenario"
expect 78 "bad.scenario:2: nothing is called 'hub_restor'; did you mean 'hub_restore'?" \
  "$waybill" sim --scenario "$work/bad.scenario"
expect 78 "missing.scenario: cannot be read" "$waybill" sim --scenario "$work/missing.scenario"
expect 2 "excludes" "$waybill" sim --scenario "$work/seven.scenario" --nodes 4

# Transitions are counted, and say so in JSON too.
expect 0 "deploy.phase idle -> fetching" "$waybill" sim --scenario "$work/seven.scenario" --coverage
taken=$("$waybill" sim --seed 7 "${small[@]}" --coverage --output json | json 'len(out["coverage"]["taken"]) + len(out["coverage"]["never_taken"]) - out["coverage"]["allowed"]')
[ "$taken" = 0 ] || fail "taken and never taken are not all that is allowed"

# The first seed of a text is always the same one, and another for another text.
first=$("$waybill" sim --fresh "2026-11-25 abc" "${small[@]}" --output json | json 'out["first_seed"]')
other=$("$waybill" sim --fresh "2026-11-26 abc" "${small[@]}" --output json | json 'out["first_seed"]')
[ "$first" = 150071941326 ] || fail "the text '2026-11-25 abc' gave the seed $first"
[ "$first" != "$other" ] || fail "two texts gave one seed"
echo "cli.sh: held"
