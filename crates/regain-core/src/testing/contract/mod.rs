//! The contract of [`Store`](crate::Store), clause by clause. One list for all adapters, in [`store_contract!`](crate::store_contract).

pub mod accounts;
pub mod claims;
pub mod fixture;
pub mod keys;
pub mod letters;
pub mod manage;
pub mod operator;
pub mod queue;
pub mod tokens;

/// Makes one `#[tokio::test]` of each clause.
///
/// Takes a path to an async function without arguments that gives `(Arc<dyn Store>, guard)`: a fresh, empty store
/// and whatever must live as long as it.
#[macro_export]
macro_rules! store_contract {
    ($factory:path) => {
        $crate::store_contract! { @each $factory;
            accounts: a_name_is_registered_once,
            accounts: fifty_registrations_of_one_name_make_one_account,
            accounts: registering_posts_its_letter_or_nothing,
            accounts: registering_forgets_letters_dropped_for_want_of_the_account,
            accounts: a_rehash_needs_the_hash_it_was_made_from,
            accounts: a_change_of_password_raises_the_generation_and_keeps_one_session,
            accounts: a_change_asked_for_by_an_ended_session_changes_nothing,
            accounts: the_kept_session_may_change_the_password_again,
            accounts: notices_to_an_unconfirmed_address_are_limited,
            accounts: notices_that_a_wrong_clock_has_posted_far_ahead_count_for_nothing,
            accounts: a_name_that_is_no_address_gets_no_notice,
            accounts: a_revoked_session_is_told_apart,
            manage: an_account_that_is_put_is_made_or_changed,
            manage: an_account_is_put_under_its_own_identity_alone,
            manage: a_name_of_realm_is_another_account_and_gets_no_mail,
            manage: a_deleted_account_leaves_no_session_link_or_letter,
            manage: an_identity_that_is_given_away_again_and_again_never_goes_back,
            manage: only_a_session_that_holds_deletes_its_account,
            manage: disabling_ends_sessions_and_links_for_good,
            manage: an_administrator_is_made_and_unmade_and_nothing_else_changes,
            manage: accounts_are_added_each_that_meets_no_other,
            manage: accounts_are_listed_by_name_and_by_page,
            manage: one_administrators_token_is_in_force,
            keys: the_first_keys_are_in_force_and_the_same_keys_agree,
            keys: of_processes_that_start_at_once_with_keys_of_their_own_one_goes_first,
            keys: a_process_that_does_not_know_the_key_in_force_is_refused,
            keys: a_key_is_turned_while_the_others_learn_of_it,
            keys: a_key_that_the_others_do_not_take_any_more_is_refused,
            keys: where_one_kind_is_refused_neither_is_remembered,
            keys: asking_changes_nothing_and_tells_what_would_come,
            keys: lost_keys_are_replaced_when_the_operator_says_so,
            tokens: a_token_is_good_until_its_expiry,
            tokens: a_token_is_bound_to_its_purpose,
            tokens: a_reset_happens_once,
            tokens: fifty_resets_with_one_token_have_one_winner,
            tokens: a_reset_voids_other_reset_tokens_but_no_confirmation,
            tokens: a_reset_ends_reset_letters_waiting_and_claimed,
            tokens: a_reset_clears_the_kept_session_and_posts_a_notice,
            tokens: a_change_of_password_voids_reset_tokens,
            tokens: a_confirmation_changes_the_flag_alone_and_is_recognised_again,
            tokens: an_expired_confirmation_is_refused,
            letters: an_open_letter_takes_repeats,
            letters: a_repeat_within_the_cooldown_is_swallowed,
            letters: a_letter_that_ended_while_the_clock_was_ahead_swallows_nothing,
            letters: a_repeat_after_an_expired_letter_is_posted,
            letters: five_mails_a_day_while_the_last_link_is_good,
            letters: purposes_and_names_do_not_share_limits,
            letters: without_limits_every_request_posts,
            letters: a_full_outbox_takes_nothing,
            letters: unknown_and_known_names_are_answered_alike,
            claims: a_letter_is_claimed_once,
            claims: two_couriers_share_a_queue_without_overlap,
            claims: a_claim_brings_the_account_along,
            claims: a_letter_without_an_account_is_dropped,
            claims: closing_does_not_starve_a_claim,
            claims: a_letter_past_its_deadline_expires,
            claims: a_confirmation_of_a_confirmed_address_is_superseded,
            claims: a_lease_that_ran_out_is_claimed_again,
            claims: a_renewed_lease_holds,
            claims: settling_needs_the_current_claim,
            claims: a_released_letter_keeps_its_attempts,
            claims: a_letter_released_by_a_fault_goes_behind_those_that_wait,
            claims: a_letter_put_off_waits_until_it_is_due,
            claims: a_letter_held_back_waits_and_is_charged_nothing,
            claims: a_letter_parked_by_a_wrong_clock_is_due,
            claims: freeing_all_claims_gives_them_back,
            claims: arming_needs_the_current_claim,
            claims: arming_again_extends_the_expiry,
            claims: a_used_token_is_not_armed_again,
            claims: a_letter_armed_with_another_key_is_replaced,
            claims: the_next_due_time_is_the_earliest_of_due_and_lease,
            queue: the_newest_letters_are_claimed_beside_the_oldest,
            queue: an_old_letter_that_comes_due_again_is_not_among_the_newest,
            queue: letters_that_nobody_gets_keep_nobody_waiting_who_asks_now,
            queue: the_mail_budget_holds_back_what_is_beyond_it,
            queue: claims_that_fill_the_budget_hold_others_for_seconds_alone,
            queue: resets_do_not_wait_behind_others_for_the_budget,
            queue: what_the_budget_held_back_goes_once_the_hour_is_over,
            queue: mails_that_a_wrong_clock_has_sent_far_ahead_cost_no_budget,
            queue: a_share_of_the_mail_budget_is_for_resets,
            queue: a_letter_without_an_account_costs_no_budget,
            queue: a_claim_counts_what_it_closes,
            queue: a_letter_that_is_there_at_every_crash_waits_longer_and_is_dead_in_the_end,
            queue: a_letter_that_came_back_has_no_crashes,
            operator: letters_are_listed_newest_first_and_by_page,
            operator: letters_are_found_by_name_time_and_code,
            operator: the_stats_count_by_purpose_state_and_code,
            operator: a_letter_that_only_relays_hold_up_is_late_since_it_was_posted,
            operator: a_waiting_letter_is_hastened_and_a_closed_one_replaced,
            operator: a_letter_that_was_sent_since_it_was_seen_is_not_sent_again,
            operator: only_a_waiting_letter_is_dropped,
            operator: the_status_counts_what_is_open_and_dead,
            operator: dropped_letters_go_after_minutes_and_others_after_weeks,
            operator: a_used_token_stays_while_its_letter_is_open,
        }
    };
    (@each $factory:path; $($module:ident : $clause:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let (store, _guard) = $factory().await;
                $crate::testing::contract::$module::$clause(store).await;
            }
        )*
    };
}
