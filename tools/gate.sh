# Sourced by script/test and .ci/run: runs gates and ctest, shows progress, counts, and prints the closing line.
passed=0
failed=0
last_gate=none
started=$SECONDS
mkdir -p build/test
export CTEST_COLOR_OUTPUT=0 NINJA_STATUS="[%f/%t %es] "

say() { printf '== %s\n' "$*"; }

# gate NAME COMMAND...: one gate. Its output goes to build/test/<n>.log and is shown only if it fails. When the output is
# a terminal, the last line of a long gate is shown while it runs.
gate() {
  local name=$1 begun=$SECONDS log
  shift
  log=build/test/gate-$((passed + failed + 1)).log
  printf '== %-52s ' "$name"
  if [ -t 1 ]; then
    "$@" >"$log" 2>&1 </dev/null &
    local job=$! line
    while kill -0 "$job" 2>/dev/null; do
      line=$(tail -n 1 "$log" 2>/dev/null | cut -c 1-60)
      printf '\r== %-52s %4d s  %-60s' "$name" $((SECONDS - begun)) "$line"
      sleep 1
    done
    wait "$job"
  else
    "$@" >"$log" 2>&1 </dev/null
  fi
  if [ $? -eq 0 ]; then
    last_gate=passed
    passed=$((passed + 1))
    [ -t 1 ] && printf '\r== %-52s ' "$name"
    printf 'passed  %4d s\n' $((SECONDS - begun))
    [ -t 1 ] && printf '\033[K'
  else
    last_gate=failed
    failed=$((failed + 1))
    printf 'FAILED  %4d s\n' $((SECONDS - begun))
    tail -n 60 "$log"
    say "the whole output is in $log"
  fi
  return 0
}

# run_ctest BUILD_DIR [ctest arguments]: every test of a build; each counts as one.
run_ctest() {
  local build=$1 report
  shift
  report=$PWD/build/test/$(basename "$build").xml
  rm -f "$report"
  say "ctest in $build"
  ctest --test-dir "$build" --parallel "$(nproc)" --output-on-failure --no-tests=error --output-junit "$report" "$@" </dev/null 2>&1
  local code=$? counts
  counts=$(/usr/bin/python3 -B tools/junit_counts.py "$report")
  if [ -z "$counts" ]; then
    say "ctest left no report: counted as one failure"
    failed=$((failed + 1))
    return 0
  fi
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  # ctest may fail without a failed test (nothing matched, a missing binary).
  if [ "$code" -ne 0 ] && [ "${counts#* }" -eq 0 ]; then failed=$((failed + 1)); fi
  return 0
}

# The closing line, last, and the exit code that belongs to it.
finish() {
  say "took $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit $?
}
