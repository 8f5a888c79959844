#!/bin/sh
# The browser tests drive Debian's Chromium. Install it where that is possible without asking;
# elsewhere say plainly that those tests will not run.
for browser in chromium chromium-browser google-chrome; do
    command -v "$browser" > /dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "Installing chromium for the browser tests …"
    apt-get update -qq && apt-get install -y -qq chromium > /dev/null && exit 0
fi
echo "No Chromium here: the browser tests will NOT run. Install the package 'chromium' to run them."
