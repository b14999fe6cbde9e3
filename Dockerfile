# The daemon in a container. Build: docker build -t varve .     Run: see deploy/README.md.
#
#   build      everything that compiling takes, and what it makes
#   packages   what the daemon needs at run time: compilers and test tools stay behind
#   the last   Node, the packages, the compiled server, and an empty /data that the user `node` owns
#
# The process writes below /data only: the root file system may be read-only. It is process 1 and takes SIGTERM itself.

FROM node:24-slim AS manifests
WORKDIR /varve
COPY package.json package-lock.json ./
COPY proto/package.json proto/
COPY engines/package.json engines/
COPY client/package.json client/
COPY server/package.json server/
COPY server/bin server/bin

FROM manifests AS build
RUN npm ci --ignore-scripts
COPY . .
RUN npx tsc -b server \
  && find */dist \( -name "*.map" -o -name "*.d.ts" -o -name .tsbuildinfo \) -delete

FROM manifests AS packages
RUN npm ci --ignore-scripts --omit=dev --workspace server && rm -rf /root/.npm

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /varve
COPY --from=packages /varve ./
COPY --from=build /varve/proto/dist proto/dist
COPY --from=build /varve/engines/dist engines/dist
COPY --from=build /varve/server/dist server/dist
RUN ln -s /varve/server/bin/varve.js /usr/local/bin/varve && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 7400 7480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["varve", "describe", "--json", "--timeout", "4"]
ENTRYPOINT ["node", "/varve/server/bin/varve.js"]
CMD ["serve", "--grpc", "0.0.0.0:7400", "--http", "0.0.0.0:7480", "--data-dir", "/data"]
