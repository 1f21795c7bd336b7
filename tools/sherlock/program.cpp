// SPDX-License-Identifier: MIT
#include "program.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <sherlock/error.hpp>

#include "exit_codes.hpp"
#include "help.hpp"
#include "output.hpp"

namespace sherlock::cli {
namespace {

// `help` becomes the command that tells more, for the message of a UsageError.
int dispatch(Args args, std::span<const Command> commands, std::string& help) {
  Common common;
  args.read_leading(common);
  if (answered(common, kHelp)) return EXIT_SUCCESS;
  const std::string_view wanted = args.take("a command (run, status, list, backends or clean)");
  for (const auto& [name, command] : commands) {
    if (name != wanted) continue;
    help = fmt::format("sherlock {} --help", name);
    return command(std::move(args), std::move(common));
  }
  throw UsageError{fmt::format("there is no command '{}'", wanted)};
}

}  // namespace

int program(int argc, char** argv, std::span<const Command> commands) {
  open_closed_streams();
  std::string help = "sherlock --help";
  try {
    return dispatch(Args{argc, argv}, commands, help);
  } catch (const UsageError& error) {
    complain(fmt::format("{}; see {}", error.what(), help));
    return kUsage;
  } catch (const OutputError& error) {
    complain(error.what());
    return kOutput;
  } catch (const LockException& error) {
    complain(error.what());
    return exit_code(static_cast<Errc>(error.code().value()));
  } catch (const std::exception& error) {
    complain(error.what());
    return kSystem;
  }
}

}  // namespace sherlock::cli
