#include "edge/sync/sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

// When this node talks, and when it does not: L2 L3 and the shape of a contact.
namespace wb::sync {
namespace {

constexpr Instant ms(int64_t value) { return Instant{value * kNsPerMs}; }
wire::Grant grant(uint64_t rate, uint32_t next_ms = 0, uint32_t floor_ms = 0) {
  wire::Grant out;
  out.set_drain_bytes_per_s(rate);
  out.set_next_contact_ms(next_ms);
  out.set_jitter_floor_ms(floor_ms);
  return out;
}

// Drives a Sync on a virtual clock.
struct Driver {
  explicit Driver(Config config = {}, uint64_t seed = 1) : sync(config, ms(0), Prng(seed)) { step(Woke{}); }
  void step(const Event& event) {
    Step<Effect> out = sync.step(now, event);
    wake_at = out.wake_at;
    for (const Effect& effect : out.effects) {
      if (const auto* send = std::get_if<SendExchange>(&effect)) {
        EXPECT_FALSE(open.has_value()) << "two exchanges in flight";
        open = *send;
        opened_at = now;
        ++sends;
      } else {
        EXPECT_TRUE(open && open->id == std::get<CancelExchange>(effect).id);
        open.reset();
        ++cancels;
      }
    }
    EXPECT_GT(wake_at, now) << "the machine spins";
  }
  // Lets time pass until an exchange is in flight or `limit` is reached.
  bool run_until_send(Instant limit) {
    while (!open) {
      if (wake_at > limit) {
        now = limit;
        return false;
      }
      now = wake_at;
      step(Woke{});
    }
    return true;
  }
  void answer(const wire::Grant& g, uint64_t sent = 0, bool progressed = true, bool drained = false) {
    const uint64_t id = open->id;
    open.reset();
    step(Answered{id, sent, progressed && sent > 0, drained, g});
  }
  void fail(bool reached, uint32_t retry_after_ms = 0) {
    const uint64_t id = open->id;
    open.reset();
    step(Failed{id, reached, retry_after_ms});
  }
  Sync sync;
  Instant now = ms(0);
  Instant wake_at = kNever;
  Instant opened_at;
  std::optional<SendExchange> open;
  int sends = 0;
  int cancels = 0;
};

TEST(Sync, ComesSoonAfterStartWithWhatWaitsThenParks) {
  Driver d;
  d.step(Waiting{5'000, false});
  ASSERT_TRUE(d.run_until_send(ms(1'000)));
  EXPECT_GE(d.open->record_bytes_max, 5'000U);
  EXPECT_EQ(d.open->long_poll_ms, 0U);
  d.answer(grant(10'000), 5'000);
  d.step(Waiting{0, false});
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  EXPECT_EQ(d.open->record_bytes_max, 0U);
  EXPECT_GT(d.open->long_poll_ms, 0U);
}

// Answers the first contact and lets the next one park.
void park(Driver& d, uint64_t rate = 1'000'000) {
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  d.answer(grant(rate));
  ASSERT_TRUE(d.run_until_send(ms(4'000)));
  ASSERT_EQ(d.open->long_poll_ms, Config{}.long_poll_ms);
}

// How often a node calls within an hour whose long-polls are each answered by `answer`.
template <class Answer>
int calls_in_an_hour(Answer answer) {
  Driver d;
  park(d);
  d.sends = 0;
  while (d.run_until_send(ms(3'600'000))) answer(d);
  return d.sends;
}

// L2: the hub answers at once as long as this node has not done what is wanted; a node that cannot must not ask for
// ever.
TEST(Sync, ALongPollThatIsNotHeldIsAskedAgainEverMoreRarely) {
  const int calls = calls_in_an_hour([](Driver& d) {
    d.now.ns += 20 * kNsPerMs;
    d.answer(grant(1'000'000, 30'000));
  });
  EXPECT_LE(calls, 3'600 / 30 + 12);
  EXPECT_GE(calls, 3'600 / 33);
}

// L2: nor if the hub fails now and then, and answers what comes after a failure as any contact.
TEST(Sync, AFailureAmongLongPollsThatAreNotHeldChangesNothing) {
  const int calls = calls_in_an_hour([](Driver& d) {
    d.now.ns += 20 * kNsPerMs;
    if (d.sends % 4 == 3)
      d.fail(true);
    else
      d.answer(grant(1'000'000, 30'000));
  });
  EXPECT_LE(calls, 2 * 3'600 / 30);
  EXPECT_GE(calls, 3'600 / 33);
}

// L2: nor over a link on which an answer that was not held takes as long as one that was, and some name what was wanted
// long ago.
TEST(Sync, OnASlowLinkALongPollIsNotTakenForHeld) {
  const int calls = calls_in_an_hour([](Driver& d) {
    const uint64_t id = d.open->id;
    d.open.reset();
    d.now.ns += 3 * kNsPerSecond;
    d.step(Answered{id, 0, false, false, grant(1'000'000, 30'000), d.sends % 5 == 4 ? 6U : 7U, true});
  });
  EXPECT_LE(calls, 3'600 / 30 + 12);
  EXPECT_GE(calls, 3'600 / 37);
}

TEST(Sync, NewsAndHeldLongPollsKeepItAskingAtOnce) {
  Driver d;
  park(d);
  for (uint64_t generation = 1; generation < 20; ++generation) {
    const uint64_t id = d.open->id;
    d.open.reset();
    const bool held = generation % 2 == 0;
    d.now = after_ms(d.now, held ? 50'000 : 20);
    d.step(Answered{id, 0, false, false, grant(1'000'000), held ? generation - 1 : generation});
    ASSERT_TRUE(d.run_until_send(after_ms(d.now, 100))) << "waits after answer " << generation;
  }
}

TEST(Sync, UrgentTakesAParkedLongPollOffTheLine) {
  Driver d;
  park(d);
  d.step(Urgent{});
  EXPECT_EQ(d.cancels, 1);
  ASSERT_TRUE(d.run_until_send(ms(10'000)));
  EXPECT_EQ(d.open->long_poll_ms, 0U);
}

TEST(Sync, ACriticalRecordGoesAtOnceAnOrdinaryOneWaitsForCompany) {
  Driver d;
  park(d);
  const Instant since = d.now = ms(10'000);
  d.step(Waiting{100, false});
  EXPECT_EQ(d.cancels, 0);
  d.open.reset();  // the driver's view only: the machine will cancel it
  d.open = SendExchange{2, 0, 50'000, 30'000};
  d.now = d.wake_at;
  EXPECT_EQ(d.now, after_ms(since, Config{}.flush_ms));
  d.step(Woke{});
  EXPECT_EQ(d.cancels, 1);
  ASSERT_TRUE(d.open);
  EXPECT_GT(d.open->record_bytes_max, 100U);
  d.answer(grant(1'000'000), 100);
  d.step(Waiting{0, false});
  ASSERT_TRUE(d.run_until_send(after_ms(d.now, 1'000)));
  EXPECT_EQ(d.open->long_poll_ms, Config{}.flush_ms);  // records flow: the hub ends the poll, no cut
  d.step(Waiting{100, true});
  EXPECT_EQ(d.cancels, 2);
  EXPECT_GT(d.open->record_bytes_max, 100U);
}

TEST(Sync, NeverTwoInFlightAndNoSpinUnderRandomEvents) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Prng prng(seed);
    Config config;
    if (seed % 3 == 0) config.long_poll_ms = 0;
    Driver d(config, seed);
    for (int i = 0; i < 2'000; ++i) {
      d.now = d.wake_at != kNever && prng.chance(500'000) ? std::max(d.now, d.wake_at)
                                                          : after_ms(d.now, static_cast<int64_t>(prng.below(3'000)));
      const uint64_t what = prng.below(12);
      if (d.open && what < 4) {
        d.answer(grant(prng.below(3) * 10'000, static_cast<uint32_t>(prng.below(100'000))),
                 d.open->record_bytes_max / 2, prng.chance(500'000), prng.chance(100'000));
      } else if (d.open && what < 6) {
        d.fail(prng.chance(500'000), static_cast<uint32_t>(prng.below(2) * 5'000));
      } else if (what == 6) {
        d.step(Urgent{});
      } else if (what == 7) {
        d.step(NetworkUp{});
      } else if (what == 8) {
        const uint64_t bytes = prng.below(3) * prng.below(100'000);
        d.step(Waiting{bytes, prng.chance(200'000)});
      } else if (what == 9) {
        d.step(Answered{prng.below(50), 1, true, false, grant(1)});  // late, doubled or foreign
        if (d.open && !d.sync.view().in_flight) d.open.reset();
      } else {
        d.step(Woke{});
      }
      if (d.open && !d.sync.view().in_flight) d.open.reset();
    }
    EXPECT_LT(d.sends, 2'100);
    // Heal: it answers again, and contact comes within the interval.
    if (d.open) d.answer(grant(10'000, 60'000, 1'000));
    EXPECT_TRUE(d.run_until_send(after_ms(d.now, 3'600'000 + 200'000)));
  }
}

TEST(Sync, RetryAfterIsHonoured) {  // L3
  Driver d;
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  d.fail(true, 30'000);
  const Instant failed_at = d.now;
  d.step(Urgent{});
  d.step(NetworkUp{});
  ASSERT_TRUE(d.run_until_send(after_ms(failed_at, 100'000)));
  EXPECT_GE(d.now, after_ms(failed_at, 30'000));
}

TEST(Sync, BackoffGrowsWithJitterOfAtLeastTheFloor) {
  std::vector<int64_t> first;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Driver d({.jitter_floor_ms = 5'000}, seed);
    ASSERT_TRUE(d.run_until_send(ms(6'000)));
    const Instant at = d.now;
    d.fail(false);
    ASSERT_TRUE(d.run_until_send(after_ms(at, 6'000)));
    first.push_back((d.now.ns - at.ns) / kNsPerMs);
  }
  std::sort(first.begin(), first.end());
  EXPECT_LT(first[40], 1'000);   // spread evenly over the floor …
  EXPECT_GT(first[360], 4'000);  // … not over the first backoff of one second
  Driver d;
  int64_t longest = 0;
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(d.run_until_send(after_ms(d.now, 200'000)));
    const Instant at = d.now;
    d.fail(false);
    longest = std::max(longest, (d.wake_at.ns - at.ns) / kNsPerMs);
  }
  EXPECT_GT(longest, 10'000);
  EXPECT_LE(longest, Config{}.backoff_max_ms + 100);
}

// A hub that times out for hours sees hardly more attempts than regular contacts.
TEST(Sync, RetryAmplificationIsBounded) {  // L2
  for (const uint32_t retry_after_ms : {0U, 1'000U}) {
    Driver d({.contact_interval_ms = 10'000, .long_poll_ms = 0, .backoff_max_ms = 2'000}, 3);
    int attempts = 0;
    while (d.now < ms(10'000'000)) {
      ASSERT_TRUE(d.run_until_send(ms(20'000'000)));
      ++attempts;
      d.fail(true, retry_after_ms);
    }
    EXPECT_LE(attempts, 1'000 * 1.2 + 3);
    EXPECT_GT(attempts, 800);
  }
}

TEST(Sync, DrainsAtTheGrantedRate) {
  Driver d;
  uint64_t backlog = 2'000'000, sent_total = 0;
  d.step(Waiting{backlog, false});
  int exchanges = 0;
  while (backlog > 0) {
    ASSERT_TRUE(d.run_until_send(after_ms(d.now, 60'000)));
    const uint64_t sent = std::min(backlog, d.open->record_bytes_max);
    d.now = after_ms(d.now, std::max<int64_t>(100, d.open->long_poll_ms));
    backlog -= sent;
    sent_total += sent;
    ++exchanges;
    d.answer(grant(20'000), sent);
    d.step(Waiting{backlog, false});
    EXPECT_LE(sent_total, 65'536 + 200'000 + 20'000 * static_cast<uint64_t>(d.now.ns / kNsPerSecond + 1));
  }
  EXPECT_LT(d.now.ns / kNsPerSecond, 2'000'000 / 20'000 + 5);
  EXPECT_LT(exchanges, 250);
}

TEST(Sync, AGrantOfNothingSendsNoRecords) {
  Driver d;
  park(d, 0);
  d.now = ms(5'000);
  d.step(Waiting{100'000, true});
  EXPECT_EQ(d.cancels, 0);
  d.answer(grant(0));
  ASSERT_TRUE(d.run_until_send(ms(60'000)));
  EXPECT_EQ(d.open->record_bytes_max, 0U);
  d.answer(grant(1'000'000));
  ASSERT_TRUE(d.run_until_send(ms(120'000)));
  EXPECT_GT(d.open->record_bytes_max, 0U);
}

TEST(Sync, ARefusalOfRecordsIsNotRepeatedAtOnce) {
  Driver d;
  d.step(Waiting{100'000, true});
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  d.answer(grant(1'000'000, 20'000), 60'000, true, true);
  const Instant refused_at = d.now;
  while (d.run_until_send(after_ms(refused_at, 20'000 - 1))) {
    EXPECT_EQ(d.open->record_bytes_max, 0U);
    d.now = after_ms(d.now, std::max<int64_t>(d.open->long_poll_ms, 1));
    d.answer(grant(1'000'000, 20'000));
  }
  EXPECT_LT(d.sends, 6);
}

// A hub that answers 400 to what lies in the outbox would otherwise never hear of a rollback, nor the node of a
// release.
TEST(Sync, RecordsThatDoNotGetThroughDoNotTakeControlWithThem) {  // R1
  Driver d;
  ASSERT_TRUE(d.run_until_send(ms(60'000)));
  d.answer(grant(1'000'000, 60'000));
  d.step(Waiting{100'000, false});
  for (int i = 0; i < 3; ++i) {
    while (d.run_until_send(ms(10'000'000)) && d.open->record_bytes_max == 0) d.answer(grant(1'000'000, 60'000));
    ASSERT_TRUE(d.open);
    d.fail(true);
  }
  const Instant failed_at = d.now;
  for (int round = 0; round < 3; ++round) {  // control is answered; the records are tried once an interval
    ASSERT_TRUE(d.run_until_send(ms(10'000'000)));
    EXPECT_EQ(d.open->record_bytes_max, 0U);
    int control_count = 0;
    while (d.open->record_bytes_max == 0) {
      ++control_count;
      d.now = after_ms(d.now, 1'000);
      d.answer(grant(1'000'000, 60'000));
      ASSERT_TRUE(d.run_until_send(ms(10'000'000)));
    }
    EXPECT_GE(control_count, 1);
    EXPECT_GE(d.opened_at, after_ms(failed_at, 60'000 * (round + 1)));
    d.fail(true);
  }
}

TEST(Sync, ADeadlineEndsAnExchangeThatNobodyAnswers) {
  Driver d;
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  d.now = after_ms(d.now, Config{}.answer_timeout_ms);
  d.step(Woke{});
  EXPECT_EQ(d.cancels, 1);
  EXPECT_EQ(d.sync.view().failures_in_row, 1U);
}

// A full request takes 42 s at 50 kbit/s: it must not be given up and sent again while it is on its way.
TEST(Sync, AFullRequestHasTimeForASlowLink) {
  Driver d;
  d.step(Waiting{1U << 20, false});
  ASSERT_TRUE(d.run_until_send(ms(10'000)));
  d.answer(grant(1U << 20), d.open->record_bytes_max);
  d.now = after_ms(d.now, 5'000);  // of the granted rate, enough has gathered
  d.step(Waiting{1U << 20, false});
  while (d.open->record_bytes_max == 0) d.answer(grant(1U << 20));
  ASSERT_TRUE(d.run_until_send(ms(60'000)));
  ASSERT_EQ(d.open->record_bytes_max, Config{}.request_bytes_max);
  const auto slow_ms = static_cast<int64_t>(d.open->record_bytes_max * 8 / 50);
  EXPECT_GT(d.open->answer_timeout_ms, slow_ms + Config{}.answer_timeout_ms);
  EXPECT_LT(d.open->answer_timeout_ms, 2 * slow_ms + 2 * Config{}.answer_timeout_ms);
  d.now = after_ms(d.now, slow_ms + 10'000);
  d.step(Woke{});
  EXPECT_TRUE(d.open) << "given up on the way";
  EXPECT_EQ(d.cancels, 0);
}

TEST(Sync, WithoutLongPollComesAtTheHubsInterval) {
  Driver d({.long_poll_ms = 0});
  ASSERT_TRUE(d.run_until_send(ms(2'000)));
  d.answer(grant(1'000'000, 600'000));
  const Instant at = d.now;
  d.step(Waiting{50'000, false});
  ASSERT_TRUE(d.run_until_send(after_ms(at, 700'000)));
  EXPECT_GE(d.now, after_ms(at, 600'000));
  EXPECT_GT(d.open->record_bytes_max, 0U);
}

TEST(Streams, BuildsWhatTheHubAcceptsAndLeavesOutWhatItWouldNot) {
  wire::RecordUp record;
  record.set_pipeline("p");
  record.set_inclusion_probability(0.5);
  const Bytes good = wire::encode(record);
  record.set_inclusion_probability(0);
  const Bytes bad = wire::encode(record);
  wire::ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  StreamPartView part{
      Lane::kBulk, 10, 20, 3, 1, {{11, 1, good}, {12, 0.25, good}, {13, 1, bad}, {15, 1, ""}, {16, 1, "\xFF\xFF"}}};
  const auto unreadable = build_streams({part}, request);
  ASSERT_EQ(unreadable.size(), 3U);
  EXPECT_EQ(unreadable[0].seq, 13U);
  const auto decoded = wire::decode_exchange_request(wire::encode(request));
  ASSERT_TRUE(decoded.ok()) << decoded.error().text;
  const wire::StreamUp& stream = decoded->streams(0);
  EXPECT_EQ(stream.records_size(), 2);
  EXPECT_EQ(stream.records(1).seq(), 12U);
  EXPECT_EQ(stream.thinning(1), 0.25);
  EXPECT_EQ(stream.lost_count(), 4U);
  EXPECT_EQ(stream.evicted_count(), 3U);
}

}  // namespace
}  // namespace wb::sync
