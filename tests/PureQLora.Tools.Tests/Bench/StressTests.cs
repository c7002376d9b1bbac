using PureQLora.Core;
using PureQLora.Tools.Bench;

namespace PureQLora.Tools.Tests;

/// <summary>The stress run for a few seconds, and that it would notice what it looks for.</summary>
public sealed class StressTests
{
    [Fact]
    public void Stress_GivenThreeSeconds_ShouldChangeNoResult()
    {
        string before = AllowedProcessors();

        string output = Tool.Bench("stress", "--minutes", "0.05", "--seed", "1").ShouldSucceed().Output;

        Assert.Matches("(?m)^[1-9][0-9]* units, ", output);
        Assert.Matches("(?m)^[1-9][0-9]* forced collections", output);
        Assert.Matches("(?m)^0 mismatches", output);
        Assert.Equal(before, AllowedProcessors());
    }

    [Fact]
    public void Options_GivenMistakes_ShouldBeRefusedInOneSentence()
    {
        Tool.Bench("stress", "--minutes", "0").ShouldBeRefused("--minutes is 0", "10080");
        Tool.Bench("stress", "--minutes", "NaN").ShouldBeRefused("--minutes is NaN");
        Tool.Bench("stress", "--shape", "gpt").ShouldBeRefused("--shape is gpt", "tiny");
    }

    [Theory]
    [InlineData("abc", false, true, 0)]
    [InlineData("abd", false, true, 1)]    // another result
    [InlineData("ab", false, true, 1)]     // too short, though it says that it is whole
    [InlineData("ab", false, false, 1)]    // ended early without having been asked to
    [InlineData(null, false, false, 1)]    // an exception
    public void Reference_GivenAnOutcome_ShouldTellWhatIsWrong(string? line, bool interrupted, bool complete, int failures)
    {
        StressTally tally = Check(new StressOutcome(["abc"], false, true), line is null ? null : new StressOutcome([line], interrupted, complete), cancel: false);

        Assert.Equal(failures, tally.Failures.Count);
        Assert.Equal(1 - failures, tally.Units);
    }

    [Theory]
    [InlineData("ab", 0)]
    [InlineData("", 0)]
    [InlineData("b", 1)]
    public void Reference_GivenACancelledOutcome_ShouldTakeBeginningsOnly(string line, int failures)
    {
        StressTally tally = Check(new StressOutcome(["abc"], false, true), new StressOutcome([line], true, false), cancel: true);

        // What was cut off is done again, and is whole then.
        Assert.Equal(failures, tally.Failures.Count);
        Assert.Equal(2 - failures, tally.Units);
        Assert.Equal(1 - failures, tally.Cancellations);
    }

    /// <summary>Checks an outcome once.</summary>
    /// <param name="reference">Of the quiet run, and of every run after the first one.</param>
    /// <param name="outcome">Of the first run; null throws.</param>
    /// <param name="cancel">Whether that run has a cancellation.</param>
    private static StressTally Check(StressOutcome reference, StressOutcome? outcome, bool cancel)
    {
        StressTally tally = new();
        using CpuBackend backend = new(threads: 1, CpuTier.Scalar);
        StressReference checkedUnit = new(new ScriptedUnit(reference, outcome, reference), CpuTier.Scalar);

        // Random draws 0 or 1 first: whether to cancel.
        int seed = Enumerable.Range(0, 100).First(seed => new Random(seed).Next(2) == 0 == cancel);
        checkedUnit.Check(backend, new Random(seed), tally);
        return tally;
    }

    private static string AllowedProcessors() => OperatingSystem.IsLinux()
        ? string.Join('\n', File.ReadLines("/proc/self/status").Where(line => line.StartsWith("Cpus_allowed", StringComparison.Ordinal)))
        : "";

    private sealed class ScriptedUnit(params StressOutcome?[] outcomes) : StressUnit("scripted")
    {
        private int _runs;

        public override StressOutcome Run(CpuBackend backend, CancellationToken cancellationToken)
        {
            StressOutcome outcome = outcomes[_runs++] ?? throw new InvalidOperationException("scripted");
            if (outcome.Interrupted)
            {
                cancellationToken.WaitHandle.WaitOne();
            }

            return outcome;
        }
    }
}
