# Shells of a login set PATH anew; the shims of v4run stay first.
PATH=/usr/lib/v4run/shims:$PATH
