# The lab in a container: non-root, with an init process, its data in a volume.
#
#   docker build -t sdlab .                                        torch for CPUs
#   docker build -t sdlab --build-arg TORCH_INDEX=https://pypi.org/simple .   torch with CUDA
#   docker build -t sdlab --build-arg EXTRA=postgres .            for a lab in PostgreSQL
#   docker run -p 127.0.0.1:7860:7860 -v sdlab:/data -e SDLAB_PASSWORD=... sdlab
#
# compose.yaml has it with PostgreSQL. BASE may be any image with Python 3.11 to 3.14, its venv module, and a Debian beneath.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRA=
# tini reaps what workers leave, and hands on the signal to stop.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 sdlab && install -d -o sdlab -g sdlab /data /opt/sdlab
WORKDIR /opt/sdlab
USER sdlab
# Dependencies first: they change less often than the source, and their layer is kept.
COPY --chown=sdlab pyproject.toml constraints.txt README.md LICENSE ./
COPY --chown=sdlab scripts ./scripts
COPY --chown=sdlab sdlab ./sdlab
COPY --chown=sdlab storage ./storage
COPY --chown=sdlab backend ./backend
COPY --chown=sdlab app ./app
RUN TORCH_INDEX=${TORCH_INDEX} sh scripts/setup.sh ${EXTRA} && rm -rf ~/.cache

ENV SDLAB_HOME=/data PATH=/opt/sdlab/.venv/bin:$PATH PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["tini", "-g", "--"]
# All interfaces of the container, which only the published port reaches; serve insists on
# SDLAB_PASSWORD then.
CMD ["sdlab", "serve", "--host", "0.0.0.0", "--port", "7860"]
