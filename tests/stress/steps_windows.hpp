// SPDX-License-Identifier: MIT
// Scenes that are made for one race, and what others do while a victim is held up in it.
#pragma once

#include <vector>

#include "steps_scenes.hpp"

namespace stress {

void made_before(Ground& ground);
void other_names_made(Ground& ground);

void others_make_names(Ground& ground);
void another_is_late(Ground& ground);
void tries_once(Ground& ground);
void look_too(Ground& ground);
void try_too(Ground& ground);
void outlast(Ground& ground);
void holds_on(Ground& ground);
void live_and_be_forgotten(Ground& ground);

void makes_the_store(Ground& ground);
void cleans(Ground& ground);

std::vector<Scene> windows();
std::vector<Scene> replacements();
std::vector<Scene> of_threads();

}  // namespace stress
