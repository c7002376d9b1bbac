using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class AnswerScorerTests
{
    [Theory]
    [InlineData("gsm8k")]
    [InlineData("gsm8k_cot")]
    [InlineData("gsm8k_cot_zeroshot")]
    [InlineData("gsm8k_cot_llama")]
    public void Score_GivenEveryGoldenPair_ShouldGiveTheHarnessVerdict(string name)
    {
        EvaluationTask task = EvaluationTask.Parse(name);
        JsonElement[] cases = Golden.Cases("scoring.json");
        Assert.Equal(213, cases.Length);
        foreach (JsonElement pair in cases)
        {
            (string answer, string generated) = (pair.Text("answer"), pair.Text("generated"));
            JsonElement expected = pair.GetProperty(name);
            Assert.Equal(expected.TryGetProperty("cut", out JsonElement cut) ? cut.GetString() : generated, StopStrings.Cut(generated, task.StopStrings));
            AssertVerdict(expected.GetProperty("strict-match"), AnswerScorer.Score(ScoringRule.Strict, task, answer, generated), pair.Text("id"));
            AssertVerdict(expected.GetProperty("flexible-extract"), AnswerScorer.Score(ScoringRule.Flexible, task, answer, generated), pair.Text("id"));
        }
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("metamath")]
    public void Score_GivenEveryGoldenPair_ShouldGiveTheScriptsVerdict(string name)
    {
        ScoringRule rule = AnswerScorer.ParseRule(name);
        foreach (JsonElement pair in Golden.Cases("scoring.json"))
        {
            Verdict verdict = AnswerScorer.Score(rule, EvaluationTask.Gsm8k, pair.Text("answer"), pair.Text("generated"));
            AssertVerdict(pair.GetProperty(name), verdict, pair.Text("id"));
        }
    }

    [Theory]
    [InlineData("The answer is: 2.5", "2")]                       // half to even
    [InlineData("The answer is: 3.5", "4")]
    [InlineData("The answer is: 7/2", "4")]
    [InlineData("The answer is: 5/2", "2")]
    [InlineData("The answer is: -7/2", "-4")]
    [InlineData("The answer is: +7/2", "4")]
    [InlineData("The answer is: 18/0", "18")]
    [InlineData("The answer is: 18/00", "error")]
    [InlineData("The answer is: /5", null)]
    [InlineData("The answer is: -/5", null)]
    [InlineData("The answer is: -.5", "0")]
    [InlineData("The answer is: 1\U0001D7D8", "10")]               // MATHEMATICAL BOLD DIGIT ZERO lies outside the basic plane
    [InlineData("The answer is: 1e5", "1")]
    [InlineData("The answer is: 100000000000000000000000", "99999999999999991611392")]
    [InlineData("The answer is: 36893488147419103233/2", "18446744073709551616")]
    [InlineData("The answer is: 18 The answer is: none", null)]
    [InlineData("the answer is: 18", null)]
    public void MetaMath_GivenPythonsNumbers_ShouldReadThemAlike(string generated, string? extracted) =>
        Assert.Equal(extracted, AnswerScorer.Score(ScoringRule.MetaMath, EvaluationTask.Gsm8k, "#### 18", generated).Extracted);

    [Theory]
    [InlineData("#### 1_000", "The answer is: 1000", true)]
    [InlineData("#### 1__000", "The answer is: 1000", null)]
    [InlineData("####  1,000 \n", "The answer is: 1000", true)]
    [InlineData("#### 7 #### 9", "The answer is: 7", true)]
    [InlineData("####18", "The answer is: 18", null)]
    public void MetaMath_GivenReferences_ShouldReadThemAsPythonsInt(string reference, string generated, bool? correct) =>
        Assert.Equal(correct, AnswerScorer.Score(ScoringRule.MetaMath, EvaluationTask.Gsm8k, reference, generated).Correct);

    [Theory]
    [InlineData("18.", "18", true)]
    [InlineData("18.\n", "18\n", true)]              // Python's $ also matches before the last newline
    [InlineData("18.\n\n", "18\n\n", false)]
    [InlineData("18..", "18.", false)]
    [InlineData("1,8", "18", true)]
    [InlineData("18.0", "18", false)]
    [InlineData("#### 3 and #### 4", "4", true)]
    [InlineData("18\0", "18", true)]                 // NumPy drops NUL at the end
    [InlineData("ABC", "abc", true)]
    public void ExactMatch_GivenPythonsQuirks_ShouldShareThem(string prediction, string reference, bool equal) =>
        Assert.Equal(equal, ExactMatch.AreEqual(prediction, reference));

    [Fact]
    public void Extract_GivenAnEndOfSequenceText_ShouldCutThere() =>
        Assert.Equal("18", AnswerScorer.Extract(ScoringRule.Flexible, EvaluationTask.Gsm8k, "#### 18<eos> 19", "<eos>"));

    [Fact]
    public void Parse_GivenUnknownNames_ShouldNameTheKnownOnes()
    {
        Assert.Contains("metamath", Assert.Throws<UserErrorException>(() => AnswerScorer.ParseRule("loose")).Message, StringComparison.Ordinal);
        Assert.Contains("gsm8k_cot_llama", Assert.Throws<UserErrorException>(() => EvaluationTask.Parse("gsm9k")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Score_GivenAnyText_ShouldGiveAVerdict()
    {
        Gen<string> piece = Gen.OneOf(
            Gen.Elements("#### ", "The answer is ", "The answer is: ", "The final answer is ", "-", "+", "$", ",", ".", "/", "\n", "0", "7", "\u0661", "\U0001D7D8", "\ud835", "Question:", "</s>"),
            ArbMap.Default.GeneratorFor<string>().Select(text => text ?? ""));
        Gen<string> text = Gen.ListOf(piece).Select(pieces => string.Concat(pieces));
        Prop.ForAll(Arb.From(text), Arb.From(text), (reference, generated) => Enum.GetValues<ScoringRule>().All(rule =>
            EvaluationTask.All.All(task => AnswerScorer.Score(rule, task, reference, generated) is var _))).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Score_GivenAMegabyteOfDigits_ShouldStayLinear()
    {
        string huge = "#### " + string.Concat(Enumerable.Repeat("1,$-.", 200_000));
        foreach (ScoringRule rule in Enum.GetValues<ScoringRule>())
        {
            AnswerScorer.Score(rule, EvaluationTask.Gsm8k, huge, "The answer is: " + huge);
        }
    }

    private static void AssertVerdict(JsonElement expected, Verdict actual, string id)
    {
        bool? correct = expected[1].ValueKind == JsonValueKind.Null ? null : expected[1].GetInt32() == 1;
        Assert.Equal((id, expected[0].GetString(), correct), (id, actual.Extracted, actual.Correct));
    }
}
