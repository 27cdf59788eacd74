# One image for api, processor, migrations, topics and the simulator: what differs is the command (docker-compose.yml).

FROM node:24-bookworm-slim AS build
WORKDIR /holdfast
COPY package.json package-lock.json .npmrc ./
# No install scripts: they fetch servers and browsers for development.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY apps apps
COPY libs libs
COPY dev dev
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json

FROM node:24-bookworm-slim AS packages
WORKDIR /holdfast
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
WORKDIR /holdfast
# Owned by root, run by somebody else: the process cannot change its own code.
COPY package.json ./
COPY --from=packages /holdfast/node_modules node_modules
COPY --from=build /holdfast/dist dist
USER node
