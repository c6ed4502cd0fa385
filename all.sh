#!/bin/bash
M='{'
add() { M="$M\"$1\":$2,"; }
s() { echo "{\"name\":\"$1\",\"storage\":\"$2\",\"optional\":$3,\"denylist\":$4,\"processes\":$5}"; }
add plain1 "$(s p store '[]' false 1)"; add touch1 "$(s p store '["touch"]' false 1)"; add repl1 "$(s p store '["replace"]' false 1)"; add both1 "$(s p store '["touch","replace"]' false 1)"
add repl2 "$(s p store '["replace"]' false 2)"; add both2 "$(s p store '["touch","replace"]' false 2)"
add over1 "$(s p overflow '["replace"]' false 1)"; add overl1 "$(s p overflow '["replace"]' true 1)"; add over2 "$(s p overflow '["replace"]' false 2)"; add overl2 "$(s p overflow '["replace"]' true 2)"
add list1 "$(s p cookie '[]' true 1)"; add list2 "$(s p cookie '[]' true 2)"
M="${M%,}}"
./dbg.sh "$M" $1 $2 ${3:-300}
