using System.Globalization;
using System.Text.RegularExpressions;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed partial class WordProblemTests
{
    public static TheoryData<ProblemFamily> Families => [.. Enum.GetValues<ProblemFamily>()];

    [Theory]
    [MemberData(nameof(Families))]
    public void At_GivenAnyIndex_ShouldWorkItsSolutionOutCorrectly(ProblemFamily family)
    {
        foreach (WordProblem problem in Many(family, 2_000))
        {
            Assert.Equal(family, problem.Family);
            string[] lines = problem.Answer.Split('\n');
            int last = -1;
            foreach (string line in lines[..^1])
            {
                Match step = Assert.Single(Step().Matches(line));
                (int a, int b, int result) = (Number(step, 2), Number(step, 4), Number(step, 5));
                Assert.Equal(result, Evaluate(a, step.Groups[3].Value[0], b));
                Assert.Equal(step.Groups[1].Value.Replace("$", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal), $"{a}{step.Groups[3].Value}{b}");
                Assert.InRange(result, 0, 216);
                Assert.EndsWith(".", line, StringComparison.Ordinal);
                last = result;
            }

            Assert.Equal($"#### {last}", lines[^1]);
            Assert.InRange(lines.Length - 1, 1, 5);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void At_GivenAnyIndex_ShouldReadAsEnglish(ProblemFamily family)
    {
        foreach (WordProblem problem in Many(family, 2_000))
        {
            string text = problem.Question;
            Assert.EndsWith("?", text, StringComparison.Ordinal);
            Assert.Equal(1, text.Count(c => c == '?'));
            Assert.DoesNotContain("  ", text + problem.Answer, StringComparison.Ordinal);
            Assert.DoesNotMatch(@"[{}]|Noun|Person|\b1 \w+s\b|\b(has has|the the|a a)\b", text + problem.Answer.Replace(">>1 left", "", StringComparison.Ordinal));
            Assert.DoesNotMatch(@">>1 (?!people|minutes|hours|days)\w*s\b", problem.Answer);
            Assert.All(text.Split(['.', '?'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries), sentence => Assert.Matches("^[A-Z0-9]", sentence));
            LeakGuard.Check(EvaluationPrompt.ZeroShot(PromptTemplate.Gsm8k, text), problem.Answer);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Distinct_GivenAnyFamily_ShouldHaveRoomForFiftyThousandTexts(ProblemFamily family) =>
        Assert.Equal(50_000, new WordProblemGenerator(1, [family]).Distinct(50_000).Select(problem => problem.Question).Distinct(StringComparer.Ordinal).Count());

    [Fact]
    public void At_GivenSeedAndIndex_ShouldAlwaysGiveTheSameProblem()
    {
        WordProblemGenerator generator = new(9, WordProblemGenerator.KnownFamilies);
        Assert.Equal(generator.At(123), new WordProblemGenerator(9, WordProblemGenerator.KnownFamilies).At(123));
        Assert.NotEqual(generator.At(123), generator.At(124));
        Assert.NotEqual(generator.At(123), new WordProblemGenerator(10, WordProblemGenerator.KnownFamilies).At(123));
        Assert.Equal(WordProblemGenerator.KnownFamilies, Enumerable.Range(0, 1000).Select(index => generator.At(index).Family).Distinct().Order());
    }

    [Fact]
    public void At_GivenSplits_ShouldNeverShareATextWhateverTheSeeds()
    {
        string[] Questions(ulong seed, ProblemSplit split) => [.. Enumerable.Range(0, 20_000).Select(index => new WordProblemGenerator(seed, [ProblemFamily.Earning, ProblemFamily.Joining], split).At(index).Question)];
        string[] training = Questions(1, ProblemSplit.Training);
        string[] test = Questions(2, ProblemSplit.Test);
        Assert.Empty(ProblemOverlap.Find(training, test));
        Assert.NotEmpty(ProblemOverlap.Find(training, Questions(2, ProblemSplit.Training)));
        Assert.InRange(Enumerable.Range(0, 10_000).Count(index => new WordProblemGenerator(3, [ProblemFamily.Sharing]).At(index).Split == ProblemSplit.Test), 850, 1150);
    }

    [Fact]
    public void Refuse_GivenTheSameQuestionSpeltOtherwise_ShouldRefuse()
    {
        ProblemOverlap.Refuse(["How many?"], ["How much?"]);
        Assert.Contains("1 test question", Assert.Throws<UserErrorException>(() => ProblemOverlap.Refuse(["How many?"], [" how  MANY?"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Distinct_GivenQuestionsToExclude_ShouldLeaveThemOut()
    {
        WordProblemGenerator generator = new(4, [ProblemFamily.Comparing]);
        string[] first = [.. generator.Distinct(100).Select(problem => problem.Question)];
        Assert.Empty(ProblemOverlap.Find(first, generator.Distinct(200, 0, first).Select(problem => problem.Question)));
        Assert.Equal(100, first.Distinct(StringComparer.Ordinal).Count());
    }

    private static IEnumerable<WordProblem> Many(ProblemFamily family, int count)
    {
        WordProblemGenerator generator = new(2024, [family]);
        return Enumerable.Range(0, count).Select(index => generator.At(index));
    }

    private static int Evaluate(int a, char operation, int b) => operation switch
    {
        '+' => a + b,
        '-' => a - b,
        '*' => a * b,
        _ => a % b == 0 ? a / b : -1,
    };

    private static int Number(Match step, int group) => int.Parse(step.Groups[group].Value, CultureInfo.InvariantCulture);

    // "lead 3 * $4 = $<<3*4=12>>12 tail."
    [GeneratedRegex(@"(\$?\d+ [-+*/] \$?\d+) = \$?<<(\d+)([-+*/])(\d+)=(\d+)>>\5\b")]
    private static partial Regex Step();
}
