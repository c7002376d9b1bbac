using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class PromptTests
{
    [Fact]
    public void Sample_GivenTheHarnessSeed_ShouldDrawEveryGoldenRow()
    {
        JsonElement golden = Golden.Load("prompts.json").GetProperty("gsm8k_shots");
        Assert.Equal(1319, golden.GetArrayLength());
        MersenneTwister random = new(1234);
        foreach (JsonElement rows in golden.EnumerateArray())
        {
            Assert.Equal(rows.Integers(), random.Sample(7473, 5));
        }
    }

    // Python 3.11: r = random.Random(0); r.sample(range(n), k) one after the other: pool, pool, pool (85 is its limit), set.
    [Fact]
    public void Sample_GivenSmallPopulations_ShouldTakePythonsPoolAndSet()
    {
        MersenneTwister random = new(0);
        Assert.Equal([6, 9, 0, 2, 4], random.Sample(10, 5));
        Assert.Equal([15, 12, 9, 20, 11, 6], random.Sample(21, 6));
        Assert.Equal([64, 17, 36, 83, 12, 79], random.Sample(85, 6));
        Assert.Equal([32, 68, 77, 18, 39, 12], random.Sample(86, 6));
        Assert.Equal([93, 9, 87, 42, 60, 71, 12, 45, 55, 40, 78, 81, 26, 70, 61, 56, 66, 33, 7, 1], random.Sample(100, 20));
        Assert.Equal(
            [95, 736, 860, 408, 727, 844, 803, 684, 640, 1, 626, 505, 847, 888, 341, 249, 747, 333, 720, 891, 64, 195, 939, 581, 227, 244, 822, 990, 145, 556],
            random.Sample(1000, 30));
    }

    // Python 3.11: random.Random(seed).sample(range(n), k), with seeds for which pool and set differ at the border between them.
    [Theory]
    [InlineData(2UL, 21, 5, new[] { 1, 2, 19, 11, 5 })]
    [InlineData(2UL, 22, 5, new[] { 1, 2, 11, 5, 21 })]
    [InlineData(5UL, 85, 6, new[] { 79, 32, 45, 67, 3, 59 })]
    [InlineData(2UL, 86, 6, new[] { 7, 11, 10, 46, 21, 85 })]
    public void Sample_GivenTheBorderOfPoolAndSet_ShouldChooseAsPython(ulong seed, int population, int count, int[] expected) =>
        Assert.Equal(expected, new MersenneTwister(seed).Sample(population, count));

    // Python 3.11: [r.getrandbits(32) for _ in range(3)] of random.Random(1234) and random.Random(2**40 + 5).
    [Theory]
    [InlineData(1234UL, 4150886329u, 3342196574u, 1892932127u)]
    [InlineData((1UL << 40) + 5, 2166296868u, 2220160828u, 1153647273u)]
    public void NextUInt32_GivenASeed_ShouldEqualPython(ulong seed, uint first, uint second, uint third)
    {
        MersenneTwister random = new(seed);
        Assert.Equal([first, second, third], [random.NextUInt32(), random.NextUInt32(), random.NextUInt32()]);
    }

    [Theory]
    [InlineData("gsm8k_cot")]
    [InlineData("gsm8k_cot_zeroshot")]
    [InlineData("gsm8k_cot_llama")]
    public void FewShot_GivenATaskWithItsOwnShots_ShouldEqualTheHarnessPrompt(string name)
    {
        EvaluationTask task = EvaluationTask.Parse(name);
        ShotSource shots = new(task, task.DefaultShots, []);
        foreach (JsonElement row in Golden.Cases("prompts.json").Where(row => row.Text("task") == name))
        {
            string expected = row.Text("prompt");
            string question = QuestionOf(expected, task.Template);
            EvaluationPrompt prompt = EvaluationPrompt.FewShot(task.Template, shots.Next(), question);
            Assert.Equal(expected, prompt.Text);
            Assert.Equal(task.Template.Render(question), prompt.Text[prompt.QueryStart..]);
        }
    }

    [Fact]
    public void FewShot_GivenTheRealTrainingSplit_ShouldEqualTheHarnessPrompt()
    {
        IReadOnlyList<GsmProblem> train = GsmProblem.Load(RepositoryPaths.Shared("data", "gsm8k", "train.jsonl"));
        IReadOnlyList<GsmProblem> test = GsmProblem.Load(RepositoryPaths.Shared("data", "gsm8k", "test.jsonl"));
        ShotSource shots = new(EvaluationTask.Gsm8k, 5, train);
        foreach (JsonElement row in Golden.Cases("prompts.json").Where(row => row.Text("task") == "gsm8k"))
        {
            GsmProblem problem = test[row.GetProperty("test_index").GetInt32()];
            EvaluationPrompt prompt = EvaluationPrompt.FewShot(PromptTemplate.Gsm8k, shots.Next(), problem.Question);
            Assert.Equal(row.Text("prompt"), prompt.Text);
            Assert.Equal(row.Text("target"), EvaluationTask.Gsm8k.Target(problem.Answer));
        }
    }

    [Fact]
    public void ShotSource_GivenMoreShotsThanThereAre_ShouldSayHowMany()
    {
        Assert.Contains("0–8", Assert.Throws<UserErrorException>(() => new ShotSource(EvaluationTask.ChainOfThought, 9, [])).Message, StringComparison.Ordinal);
        Assert.Contains("0–1", Assert.Throws<UserErrorException>(() => new ShotSource(EvaluationTask.Gsm8k, 2, [new("q", "#### 1")])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_GivenAQuestionWithThePlaceholder_ShouldTakeItLiterally() =>
        Assert.Equal("Question: {question}{0}\nAnswer:", PromptTemplate.Gsm8k.Render("{question}{0}"));

    [Theory]
    [InlineData("Question:")]
    [InlineData("{question} {question}")]
    public void PromptTemplate_GivenNoOrTwoPlaceholders_ShouldRefuse(string pattern) => Assert.Throws<UserErrorException>(() => new PromptTemplate(pattern));

    private static string QuestionOf(string prompt, PromptTemplate template)
    {
        string[] around = template.Pattern.Split(PromptTemplate.Placeholder);
        int start = prompt.LastIndexOf(around[0], StringComparison.Ordinal) + around[0].Length;
        return prompt[start..prompt.LastIndexOf(around[1], StringComparison.Ordinal)];
    }
}
