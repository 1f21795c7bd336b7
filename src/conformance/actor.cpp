// SPDX-License-Identifier: MIT
#include "conformance/actor.hpp"

#include <unistd.h>

#include <atomic>
#include <system_error>
#include <utility>

#include "conformance/check.hpp"
#include "conformance/peer.hpp"
#include "conformance/messages.hpp"

namespace sherlock::conformance {

std::shared_ptr<Actor> Actor::process(const Subject& subject) {
  std::shared_ptr<Actor> actor{new Actor{subject}};
  actor->process_ = std::make_unique<Process>(subject.program, Process::Group::member);
  actor->channel_ = &actor->process_->channel();
  actor->introduce();
  return actor;
}

std::shared_ptr<Actor> Actor::thread(const Subject& subject) {
  std::shared_ptr<Actor> actor{new Actor{subject}};
  auto [ours, theirs] = Channel::pair();
  actor->own_ = std::make_unique<Channel>(std::move(ours));
  actor->channel_ = actor->own_.get();
  actor->thread_ = std::thread{[subject, channel = std::move(theirs)]() mutable { Peer{subject, std::move(channel), Channel{}}.play(); }};
  actor->pid_ = getpid();
  return actor;
}

Actor::~Actor() {
  own_.reset();  // whoever hears nothing more ends
  if (thread_.joinable()) thread_.join();
}

void Actor::introduce() {
  asked_ = "start";
  pid_ = static_cast<pid_t>(std::stol(hear().at(0)));
  tell(subject_message("peer", subject_));
}

void Actor::tell(const Message& question) {
  asked_ = question.at(0);
  if (!channel_->send(question)) throw Broken{"a peer ended before it was asked to " + asked_};
}

Message Actor::hear(std::chrono::nanoseconds patience) {
  if (!channel_->wait_for(patience)) throw Broken{asked_ + " had no answer in " + Duration{patience}.text()};
  std::optional<Message> answer = channel_->receive();
  if (!answer) {
    const std::string how = process_ ? process_->wait(std::chrono::seconds{1}) : "";
    throw Broken{"a peer ended while it was asked to " + asked_ + (how.empty() ? "" : ": it " + how)};
  }
  if (answer->at(0) == kThrew) rethrow(*answer);
  return *answer;
}

Message Actor::ask(const Message& question, std::chrono::nanoseconds patience) {
  tell(question);
  return hear(patience);
}

void Actor::kill() { process_->kill(); }
void Actor::stop() { process_->stop(); }
void Actor::go_on() { process_->go_on(); }

std::shared_ptr<Actor> Actor::fork() {
  std::shared_ptr<Actor> child{new Actor{subject_}};
  child->own_ = std::make_unique<Channel>(process_->take_spare());
  child->channel_ = child->own_.get();
  child->pid_ = static_cast<pid_t>(std::stol(ask({"fork"}).at(0)));
  return child;
}

void Actor::exec() {
  tell({"exec"});
  introduce();
}

void Actor::end() {
  tell({"end"});
  if (channel_->wait_for(kPatience) && !channel_->receive()) return;
  throw Broken{"a peer did not end when it was told to"};
}

Other::Other(std::shared_ptr<Actor> actor, const std::string& name, const Options& options) : actor_{std::move(actor)} {
  static std::atomic<unsigned> objects{0};
  id_ = std::to_string(++objects);
  Message question{"make", id_, name};
  for (std::string& word : words_of(options)) question.push_back(std::move(word));
  actor_->ask(question);
}

bool Other::try_acquire_for(Duration timeout) {
  return actor_->ask({"try_acquire_for", id_, std::to_string(timeout.ns().count())}).at(0) == "true";
}

std::optional<Holder> Other::holder() { return holder_of(actor_->ask({"holder", id_})); }

}  // namespace sherlock::conformance
