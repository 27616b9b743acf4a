#!/usr/bin/env bash
# Two versions of a model, from training to production and back.
#
#     shoal serve                             # in one terminal
#     bash examples/registry/walk.sh          # in another
#
# Each command is shown before it is run. What a stage or a service is told takes effect without a lost request, but not
# at once: workers of the new version start beside the old ones. `answers_with` waits for that.
set -euo pipefail
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
wine='[[13.52, 3.17, 2.72, 23.5, 97, 1.55, 0.52, 0.5, 0.55, 4.35, 0.89, 2.06, 520]]'   # of the third grower

title() { printf '\n# %s\n' "$1"; }

run() {
  printf '$ %s\n' "$*"
  "$@"
}

answers_with() {              # SERVICE VERSION: ask until this version answers, for half a minute at most
  local answer="" tries
  for tries in {1..60}; do
    answer=$(shoal predict "$1" --data "$wine" 2>&1) || true
    if [[ $answer == *"\"model_version\": \"$2\""* ]]; then
      printf '$ shoal predict %s --data ...\n%s\n' "$1" "$answer"
      return
    fi
    sleep 0.5
  done
  printf '%s does not answer with version %s: %s\n' "$1" "$2" "$answer" >&2
  return 1
}

title 'Version 1, which has learnt little, goes to staging'
lineage=$(python train.py "$build/wine.skops" --strength 0.0005)
# shellcheck disable=SC2086 # lineage is a list of options
run shoal push "$build/wine.skops" --alias 1.0.0 --stage staging $lineage
run shoal deploy -f service.yaml
answers_with wine+staging 1

title 'It will do for a start: production gets what is in staging'
run shoal stage wine production staging --comment 'better than nothing'
answers_with wine 1

title 'Version 2 is better; staging gets it, and production stays as it is'
lineage=$(python train.py "$build/wine.skops" --strength 1.0)
# shellcheck disable=SC2086
run shoal push "$build/wine.skops" --alias 2.0.0 $lineage
run shoal stage wine staging 2
answers_with wine+staging 2
run shoal diff wine staging production || true      # the exit code says that there is a difference

title 'It goes to production'
run shoal stage wine production staging --comment 'more accurate'
answers_with wine 2

title 'Somebody complains, so it goes back'
run shoal rollback wine production
answers_with wine 1

title 'It was not the model. Production gets what was tried in staging: the version, and the cache with it'
run shoal promote 'staging->production' wine
answers_with wine 2

title 'What is where, and why'
run shoal models wine
run shoal services
run shoal why wine
