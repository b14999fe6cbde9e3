# The daemon in a container. Build: docker build -t varve .     Run: see deploy/README.md.

FROM node:24-slim AS build
WORKDIR /varve
COPY . .
# Installs everything and builds: `npm ci` runs the root's `prepare`.
RUN npm ci

FROM node:24-slim AS packages
WORKDIR /varve
COPY package.json package-lock.json ./
COPY proto/package.json proto/
COPY engines/package.json engines/
COPY client/package.json client/
COPY server/package.json server/
COPY server/bin server/bin
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /varve
COPY --from=packages /varve ./
COPY --from=build /varve/proto/dist proto/dist
COPY --from=build /varve/engines/dist engines/dist
COPY --from=build /varve/server/dist server/dist
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 7400 7480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "server/bin/varve.js", "describe", "--json", "--timeout", "4"]
ENTRYPOINT ["node", "server/bin/varve.js"]
CMD ["serve", "--grpc", "0.0.0.0:7400", "--http", "0.0.0.0:7480", "--data-dir", "/data"]
