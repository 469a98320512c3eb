class Leeward < Formula
  desc "Hardened local proxy between coding agents and their APIs"
  homepage "{{url}}"
  version "{{version}}"
  license "Apache-2.0"

  on_macos do
    on_intel do
{{?darwin-x64}}      url "{{url}}/{{file darwin-x64}}"
{{?darwin-x64}}      sha256 "{{sha256 darwin-x64}}"
    end
    on_arm do
{{?darwin-arm64}}      url "{{url}}/{{file darwin-arm64}}"
{{?darwin-arm64}}      sha256 "{{sha256 darwin-arm64}}"
    end
  end

  on_linux do
    on_intel do
{{?linux-x64}}      url "{{url}}/{{file linux-x64}}"
{{?linux-x64}}      sha256 "{{sha256 linux-x64}}"
    end
    on_arm do
{{?linux-arm64}}      url "{{url}}/{{file linux-arm64}}"
{{?linux-arm64}}      sha256 "{{sha256 linux-arm64}}"
    end
  end

  def install
    bin.install Dir["bin/*"]
    share.install Dir["share/*"]
    generate_completions_from_executable(bin/"leeward", "completions")
  end

  service do
    run [opt_bin/"leeward", "serve"]
    keep_alive true
  end

  test do
    assert_equal "leeward #{version}", shell_output("#{bin}/leeward --version").strip
  end
end
