# The stages of a build: `package` makes the RPMs of one package, `variant` the image of one variant.
#
# The context is the small folder that `buildsys` lays out, never the repository. There is no network, and no frontend
# image either: what is used here is what the daemon's own BuildKit knows, so there is no `syntax` line.

ARG SDK
FROM ${SDK} AS sdk
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# 2025-01-01: the one time that packages and images bear.
ENV SOURCE_DATE_EPOCH=1735689600 LC_ALL=C.UTF-8 TZ=UTC

# ---------------------------------------------------------------- package

# A cache has no name that a build argument could be part of; what it starts from tells it from the others.
FROM scratch AS cache
ARG PACKAGE
ARG ARCH
ARG TOKEN
WORKDIR /${PACKAGE}-${ARCH}-${TOKEN}

FROM sdk AS rpmbuild
ARG PACKAGE
ARG ARCH
ARG NOCACHE
WORKDIR /build

# Sources and fetched files side by side, as specs name them; the packages built before, as specs require them and,
# unpacked, as compilers want them.
RUN --mount=target=/host \
    mkdir -p SOURCES SPECS RPMS rpmdb /deps; \
    for folder in package lookaside; do \
      [ ! -d "/host/$folder" ] || cp -r --no-preserve=mode,ownership -t SOURCES "/host/$folder/."; \
    done; \
    rm -f SOURCES/crates.tar; \
    (cd /host; [ ! -d package ] || find package -type f -perm -100 -printf '%P\0') \
      | (cd SOURCES; xargs -0 --no-run-if-empty chmod +x); \
    shopt -s nullglob; rpms=(/host/rpms/*.rpm); \
    rpmdb --dbpath /build/rpmdb --initdb; \
    if [ ${#rpms[@]} != 0 ]; then \
      rpm --dbpath /build/rpmdb --install --justdb --nodeps --noscripts --nosignature "${rpms[@]}"; \
      for file in "${rpms[@]}"; do rpm2cpio "$file" | cpio -idmu --quiet --directory /deps; done; \
    fi

# First-party sources go to the cache file by file: one that did not change keeps its time, so that cargo builds again
# what changed and no more, whatever the times in the checkout.
RUN --mount=target=/host --mount=type=cache,target=/cache,from=cache,sharing=locked \
    export CARGO_HOME=/build/cargo CARGO_TARGET_DIR=/cache/target CARGO_NET_OFFLINE=true; \
    mkdir -p "$CARGO_HOME" /cache/sources; \
    if [ -d /host/sources ]; then \
      (cd /cache/sources; find . -type f -print0) | while IFS= read -r -d '' file; do \
        [ -e "/host/sources/$file" ] || rm "/cache/sources/$file"; \
      done; \
      (cd /host/sources; find . -type f -print0) | while IFS= read -r -d '' file; do \
        [ "$file" != ./Cargo.lock ] || continue; \
        cmp -s "/host/sources/$file" "/cache/sources/$file" \
          || install -D -m 0644 "/host/sources/$file" "/cache/sources/$file"; \
      done; \
      install -m 0644 /host/sources/Cargo.lock /cache/sources/Cargo.lock; \
    fi; \
    if [ -e /host/lookaside/crates.tar ]; then \
      tar --extract --file /host/lookaside/crates.tar --directory "$CARGO_HOME"; \
      printf '[source.crates-io]\nreplace-with="vendor"\n[source.vendor]\ndirectory="%s/vendor"\n' "$CARGO_HOME" \
        > "$CARGO_HOME/config.toml"; \
    fi; \
    # The lock of a workspace that lost crates loses their pins; nothing else can change, with only pinned crates here.
    if [ -d /host/sources ]; then \
      cargo metadata --manifest-path /cache/sources/Cargo.toml --offline --format-version 1 > /dev/null; \
    fi; \
    macros=(); for file in /host/macros/*.macros; do macros+=(--load "$file"); done; \
    rpmbuild -bb "${macros[@]}" \
      --define "_topdir /build" --define "_rpmdir /build/RPMS" --define "_dbpath /build/rpmdb" \
      --define "_cross_arch $ARCH" --define "_deps /deps" --define "_cross_sources /cache/sources" \
      --define "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \
      --define "_buildshell /bin/bash" --define "_buildhost visco" --define "_binary_payload w3.zstdio" \
      --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
      "SOURCES/$PACKAGE.spec"

FROM scratch AS package
COPY --from=rpmbuild /build/RPMS/ /

# ---------------------------------------------------------------- variant

FROM sdk AS imgbuild
ARG PACKAGES
ARG ARCH
ARG VARIANT
ARG VERSION_ID
ARG BUILD_ID
ARG NOCACHE
WORKDIR /build

# The wanted packages with all that they require, from the RPMs at hand and nowhere else.
RUN --mount=target=/host \
    mkdir -p repo/rpms scratch/log empty wanted; \
    cp -t repo/rpms /host/rpms/*.rpm; \
    createrepo_c --quiet --no-database repo; \
    dnf --assumeyes --disablerepo='*' --repofrompath "repo,file:///build/repo" --enablerepo repo --nogpgcheck \
      --setopt reposdir=/nonexistent --setopt varsdir=/nonexistent --setopt pluginpath=/nonexistent \
      --setopt cachedir=/build/scratch/cache --setopt persistdir=/build/scratch/persist \
      --setopt logdir=/build/scratch/log --setopt install_weak_deps=False --setopt best=True \
      --releasever 1 --forcearch "$ARCH" --installroot /build/empty --downloadonly --downloaddir /build/wanted \
      install $(for package in $PACKAGES; do echo "visco-$package"; done)

# No scriptlet runs: what they would do is done below, once. The database says what is in the image and stays outside.
RUN --mount=target=/host \
    mkdir -p root output; \
    rpm --root /build/root --define "_dbpath /var/lib/rpm" --install --nosignature --noscripts wanted/*.rpm; \
    rpm --root /build/root --define "_dbpath /var/lib/rpm" --query --all --queryformat "$(/host/sbom query-format)" \
      > packages.tsv; \
    rm -rf root/var/lib/rpm; \
    /host/sbom describe --materials /host/materials.json --packages packages.tsv --root root --output output

# What can only be made of all packages together: how modules need each other, where libraries are.
RUN --mount=target=/host \
    install -D -m 0644 /host/variant.toml root/usr/share/visco/variant.toml; \
    [ ! -e /host/root.json ] || install -D -m 0644 /host/root.json root/usr/share/updog/root.json; \
    for modules in root/usr/lib/modules/*/; do \
      [ ! -d "$modules" ] || depmod --basedir /build/root --errsyms --filesyms /dev/null "$(basename "$modules")"; \
    done; \
    mkdir -p root/usr/share/factory/etc; \
    ldconfig -r /build/root -X -f /dev/null -C /usr/share/factory/etc/ld.so.cache \
      "/usr/lib/$ARCH-linux-gnu" "/usr/lib"; \
    rm -rf root/var/cache/ldconfig

RUN --mount=target=/host \
    /host/image build --request /host/request.json --root /build/root --output /build/made; \
    mv -t output made/*

FROM scratch AS variant
COPY --from=imgbuild /build/output/ /
