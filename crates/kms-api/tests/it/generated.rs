//! `src/generated/` is what `proto/` gives today.

use std::path::Path;

/// Regenerates the code and compares; with `KYANITE_UPDATE` set it writes instead.
#[test]
fn the_generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let files = protox::compile(["v2.proto", "v1beta1.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .skip_debug([
            ".v2.EncryptRequest",
            ".v2.DecryptResponse",
            ".v1beta1.EncryptRequest",
            ".v1beta1.DecryptResponse",
        ])
        .emit_rerun_if_changed(false)
        .out_dir(out.path())
        .compile_fds(files)
        .unwrap();

    for name in ["v2.rs", "v1beta1.rs"] {
        let fresh = std::fs::read_to_string(out.path().join(name)).unwrap();
        let stored = root.join("src/generated").join(name);
        if std::env::var_os("KYANITE_UPDATE").is_some() {
            std::fs::write(&stored, &fresh).unwrap();
        }
        let stored_text = std::fs::read_to_string(&stored).unwrap_or_default();
        assert!(
            stored_text == fresh,
            "{} is not what proto/ gives: run KYANITE_UPDATE=1 cargo test -p kms-api and commit the result",
            stored.display()
        );
    }
}
