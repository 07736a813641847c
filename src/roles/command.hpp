// The commands of the executable: what main.cpp's table names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fwmail::roles {

using Arguments = std::vector<std::string>;

// Exit statuses (DESIGN of the command line): 0 success, 1 the work failed, 2 usage or configuration.
enum ExitStatus : int { exit_success = 0, exit_failed = 1, exit_usage = 2 };

// One line on standard error; gives the exit status.
int report(std::string_view command, const Error& error);

int run_core(const Arguments& arguments);
int run_remote(const Arguments& arguments);
int run_init(const Arguments& arguments);
int run_user(const Arguments& arguments);
int run_key(const Arguments& arguments);
int run_link(const Arguments& arguments);
int run_alias(const Arguments& arguments);
int run_queue(const Arguments& arguments);
int run_import(const Arguments& arguments);
int run_export(const Arguments& arguments);
int run_open(const Arguments& arguments);
int run_expunged(const Arguments& arguments);
int run_state(const Arguments& arguments);
int run_status(const Arguments& arguments);
int run_sync(const Arguments& arguments);
int run_check(const Arguments& arguments);
int run_demo(const Arguments& arguments);
int run_help(const Arguments& arguments);
int run_version(const Arguments& arguments);

}  // namespace fwmail::roles
