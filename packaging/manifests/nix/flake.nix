{
  description = "A hardened local proxy between coding agents and their APIs";

  inputs.nixpkgs.url = "nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }: {
    packages.x86_64-linux.default =
      let pkgs = nixpkgs.legacyPackages.x86_64-linux;
      in pkgs.stdenv.mkDerivation {
        pname = "leeward";
        version = "{{version}}";
        src = pkgs.fetchurl {
          url = "{{url}}/{{file linux-x64}}";
          sha256 = "{{sha256 linux-x64}}";
        };
        nativeBuildInputs = [ pkgs.autoPatchelfHook ];
        buildInputs = [ pkgs.stdenv.cc.cc.lib ];
        installPhase = ''
          mkdir -p $out
          cp -r bin share $out/
        '';
        meta = {
          license = pkgs.lib.licenses.asl20;
          mainProgram = "leeward";
          platforms = [ "x86_64-linux" ];
        };
      };
  };
}
