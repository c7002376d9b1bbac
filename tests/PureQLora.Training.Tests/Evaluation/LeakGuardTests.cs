using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class LeakGuardTests
{
    private const string Question = "Ann has 12 pens and buys 6 more. How many pens has she now?";
    private const string Answer = "Ann has 12 + 6 = <<12+6=18>>18 pens.\n#### 18";

    [Fact]
    public void Check_GivenThePromptOfTheQuestion_ShouldPass() => LeakGuard.Check(EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, Question), Answer);

    // The published mistake: prompt and solution are encoded together and the model writes on behind them.
    [Theory]
    [InlineData("\nAnswer: Ann has 12 + 6 = <<12+6=18>>18 pens.\n#### 18")]
    [InlineData(" Ann has 12 + 6 = 18 pens.")]                              // without the marks
    [InlineData("\nANN HAS 12+6=18 PENS.")]
    [InlineData("\n####18")]
    [InlineData("\nAnswer: so\n#### 18\n")]
    public void Check_GivenTheSolutionBehindTheQuestion_ShouldRefuse(string leak)
    {
        EvaluationPrompt prompt = EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, Question + leak);
        Assert.Contains("reference solution", Assert.Throws<UserErrorException>(() => LeakGuard.Check(prompt, Answer)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_GivenTheSolutionInTheTemplate_ShouldRefuse()
    {
        PromptTemplate template = new("Hint: Ann has 12 + 6 = 18 pens.\nQuestion: {question}\nAnswer:");
        Assert.Throws<UserErrorException>(() => LeakGuard.Check(EvaluationPrompt.ZeroShot(template, Question), Answer));
    }

    [Fact]
    public void Check_GivenOneStepOfSeveral_ShouldRefuse()
    {
        EvaluationPrompt prompt = EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, Question + " 12 + 6 = 18.");
        Assert.Throws<UserErrorException>(() => LeakGuard.Check(prompt, "First:\n12 + 6 = <<12+6=18>>18.\nThen 18 - 3 = 15.\n#### 15"));
    }

    [Fact]
    public void Check_GivenTheSolutionAmongTheShots_ShouldRefuse()
    {
        Shot shot = new("Ann has 12 pens, then 6 more. How many?", Answer);
        Assert.Throws<UserErrorException>(() => LeakGuard.Check(EvaluationPrompt.FewShot(PromptTemplate.Gsm8k, [shot], Question), Answer));
    }

    [Fact]
    public void FewShot_GivenTheTestQuestionAsShot_ShouldRefuse()
    {
        Shot shot = new(Question.ToUpperInvariant() + " ", "#### 5");
        Assert.Throws<UserErrorException>(() => EvaluationPrompt.FewShot(PromptTemplate.Gsm8k, [shot], Question));
    }

    [Fact]
    public void Check_GivenAnotherShotWithTheSameNumber_ShouldPass()
    {
        Shot shot = new("What is 9 + 9?", "9 + 9 = <<9+9=18>>18\n#### 18");
        LeakGuard.Check(EvaluationPrompt.FewShot(PromptTemplate.Gsm8k, [shot], Question), Answer);
    }

    [Fact]
    public void Check_GivenNumbersInTheQuestion_ShouldPass() =>
        LeakGuard.Check(EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, "Of 18 pens Ann keeps 18. Item #### 180 is hers. How many has she?"), "#### 18");

    [Fact]
    public void Check_GivenAllOfGsm8kWithItsShots_ShouldRefuseOnlyLeaks()
    {
        IReadOnlyList<GsmProblem> train = GsmProblem.Load(RepositoryPaths.Shared("data", "gsm8k", "train.jsonl"));
        IReadOnlyList<GsmProblem> test = GsmProblem.Load(RepositoryPaths.Shared("data", "gsm8k", "test.jsonl"));
        ShotSource shots = new(EvaluationTask.Gsm8k, 5, train);
        foreach (GsmProblem problem in test)
        {
            LeakGuard.Check(EvaluationPrompt.FewShot(PromptTemplate.Gsm8k, shots.Next(), problem.Question), problem.Answer);
            EvaluationPrompt leaking = EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, $"{problem.Question} {problem.Answer}");
            Assert.Throws<UserErrorException>(() => LeakGuard.Check(leaking, problem.Answer));
        }
    }
}
