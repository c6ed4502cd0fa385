#!/bin/bash
# dbg.sh mode-json seed count
MODES="$1" SEED=$2,$3 timeout ${4:-100} npx tap --disable-coverage --reporter=tap test/dbg.test.ts 2>&1 >/dev/null | grep -v "^npm\|Unknown user" | cut -c1-5000
