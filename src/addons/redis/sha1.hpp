// SPDX-License-Identifier: MIT
// SHA-1, at compile time: Redis names scripts by it. Nothing is kept safe by it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace sherlock::addons::redis {

// 40 hexadecimal digits.
struct Sha1 {
  std::array<char, 40> digits{};
  constexpr std::string_view view() const { return {digits.data(), digits.size()}; }
};

consteval Sha1 sha1(std::string_view text) {
  std::uint32_t h[] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  // The text, a bit, zeros, and the length in bits as the last eight bytes of a block of 64.
  const std::size_t blocks = (text.size() + 8) / 64 + 1;
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    if (i < text.size()) return static_cast<unsigned char>(text[i]);
    if (i == text.size()) return 0x80;
    const std::size_t left = blocks * 64 - i;
    return left > 8 ? 0 : static_cast<std::uint32_t>((std::uint64_t{text.size()} * 8) >> (8 * (left - 1)) & 0xff);
  };
  for (std::size_t block = 0; block < blocks; ++block) {
    std::uint32_t w[80] = {};
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t j = 0; j < 4; ++j) w[i] = w[i] << 8 | byte(block * 64 + i * 4 + j);
    for (int i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    std::uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; ++i) {
      const std::uint32_t f = i < 20 ? ((b & c) | (~b & d)) : i < 40 ? b ^ c ^ d : i < 60 ? ((b & c) | (b & d) | (c & d)) : b ^ c ^ d;
      const std::uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
      const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  Sha1 result;
  for (std::size_t i = 0; i < 40; ++i) result.digits[i] = "0123456789abcdef"[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
  return result;
}

}  // namespace sherlock::addons::redis
