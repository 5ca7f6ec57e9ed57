# THE MAP. Every module in travelling order: its kind, what it may use, which third-party headers it may include.
#
# The build refuses what this table does not allow: wb_module() at configure time (links), tools/check_includes.py
# over the same lines (includes), and tools/check_symbols.py over the pure archives (clocks, entropy, files, sockets).
# An arrow may only point to an earlier line. kind: pure = same inputs, same outputs; io = may touch the world.
# From outside, only a module's door is included: edge/outbox/outbox.h of edge/outbox. DOORS names further ones; * = all.
# script/map writes this table into ARCHITECTURE.md.
#
#      module          kind  uses                                                        third-party headers
wb_map(base            pure  USES                                                        THIRD openssl DOORS *)
wb_map(record          pure  USES base)
wb_map(wire            pure  USES base record                                            THIRD protobuf zstd DOORS limits.h labels.h)
wb_map(engine          pure  USES base                                                        THIRD highway DOORS export_c.h)
wb_map(import          pure  USES base engine)
wb_map(fit             pure  USES base engine                                            DOORS dataset.h folds.h package.h report.h)
wb_map(python          io    USES base engine import fit                                 THIRD nanobind)
wb_map(edge/source     pure  USES base record                                            THIRD simdjson)
wb_map(edge/transform  pure  USES base record                                            THIRD muparser)
wb_map(edge/infer      pure  USES base record engine)
wb_map(edge/route      pure  USES base record)
wb_map(edge/outbox     pure  USES base record)
wb_map(edge/sync       pure  USES base record wire)
wb_map(edge/deploy     pure  USES base record engine wire)
wb_map(edge/agent      pure  USES base record engine wire edge/source edge/transform edge/infer edge/route edge/outbox
                                  edge/sync edge/deploy                                  THIRD protobuf DOORS pipeline.h)
wb_map(hub/ingest      pure  USES base record wire                                       THIRD protobuf)
wb_map(hub/telemetry   pure  USES base record wire                                       THIRD protobuf)
wb_map(hub/registry    pure  USES base record wire engine                                THIRD protobuf)
wb_map(hub/rollout     pure  USES base record wire                                       THIRD protobuf)
wb_map(hub/dispatch    pure  USES base record wire                                       THIRD protobuf)
wb_map(hub/api         pure  USES base record wire engine hub/ingest hub/telemetry hub/registry hub/rollout
                                  hub/dispatch                                           THIRD protobuf json DOORS hub.h http.h audit.h)
wb_map(sim             pure  USES base record wire engine edge/sync edge/agent edge/deploy hub/api hub/ingest
                                  hub/telemetry hub/registry hub/rollout hub/dispatch    THIRD protobuf
                                  DOORS coverage.h faults.h herd.h minimise.h scenario.h script.h)
wb_map(world           io    USES base record wire                                       THIRD openssl boost sqlite yaml mosquitto spdlog DOORS *)
wb_map(apps            io    USES base record wire engine import fit edge/source edge/transform edge/infer edge/route edge/outbox
                                  edge/sync edge/deploy edge/agent hub/ingest hub/telemetry hub/registry hub/rollout
                                  hub/dispatch hub/api sim world                         THIRD openssl boost cli11 json xgboost protobuf spdlog)
