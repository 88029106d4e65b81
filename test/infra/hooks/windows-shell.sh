#!/bin/sh
printf '%s\n' "$WINDOWS_SHELL_SAYS" >&2
exit 1
