cask "leeward" do
  arch arm: "arm64", intel: "x64"

  version "{{version}}"
  sha256 arm: "{{sha256 darwin-arm64.dmg}}", intel: "{{sha256 darwin-x64.dmg}}"

  url "{{url}}/leeward-#{version}-darwin-#{arch}.dmg"
  name "Leeward"
  desc "Tray application with a hardened local proxy for coding agents"
  homepage "{{url}}"

  depends_on macos: ">= :big_sur"

  app "Leeward.app"
  binary "#{appdir}/Leeward.app/Contents/MacOS/leeward"

  zap trash: "~/Library/Application Support/leeward"
end
