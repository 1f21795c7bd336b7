// SPDX-License-Identifier: MIT
#include <sherlock/addons/elasticsearch_lock.hpp>
#include <sherlock/plugin.hpp>

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<sherlock::ElasticsearchLock>(
      {.name = "elasticsearch", .library = "libcurl", .default_client = "http://localhost:9200/sherlock"}));
}
