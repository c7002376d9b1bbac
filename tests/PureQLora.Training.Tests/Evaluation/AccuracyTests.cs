using System.Text.Json;

namespace PureQLora.Training.Tests;

public sealed class AccuracyTests
{
    [Fact]
    public void Accuracy_GivenEveryGoldenCount_ShouldEqualTheHarness()
    {
        foreach (JsonElement row in Golden.Cases("stderr.json"))
        {
            Accuracy accuracy = Accuracy.Of(row.GetProperty("correct").GetInt32(), row.GetProperty("n").GetInt32());
            Assert.Equal(row.GetProperty("acc").GetDouble(), accuracy.Mean);

            // NumPy adds in pairs, so the last digits of the error may differ: 2⁻⁴⁰ relative, far below what is printed.
            Assert.Equal(row.GetProperty("stderr").GetDouble(), accuracy.StandardError!.Value, Math.ScaleB(row.GetProperty("stderr").GetDouble() + 1e-30, -40));
            Assert.Equal(row.Text("printed"), accuracy.ToString());
        }
    }

    [Theory]
    [InlineData(1, 32, "0.0312 ± 0.0312")]           // 0.03125 is a tie: to even, as printf
    [InlineData(3, 32, "0.0938 ± 0.0524")]
    [InlineData(1, 1, "1.0000")]
    [InlineData(0, 0, "0.0000")]
    public void ToString_GivenTiesAndTooFew_ShouldPrintAsPython(int correct, int count, string text) => Assert.Equal(text, Accuracy.Of(correct, count).ToString());

    [Fact]
    public void Decide_GivenEveryGoldenVote_ShouldFindTheWinner()
    {
        JsonElement[] cases = Golden.Cases("vote.json");
        Assert.Equal(22, cases.Length);
        foreach (JsonElement vote in cases)
        {
            string[] samples = [.. vote.GetProperty("samples").EnumerateArray().Select(sample => sample.GetString()!)];
            Assert.Equal(vote.Text("rule"), MajorityVote.Decide(samples));
            Assert.Equal(vote.Text("lm_eval"), MajorityVote.DecideAsHarness(samples));
        }
    }
}
