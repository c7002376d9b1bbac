using System.Text;
using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class DataFileTests
{
    [Theory]
    [InlineData("""{"question": "Q?", "answer": "1 + 1 = <<1+1=2>>2\n#### 2"}""", "Question: Q?\nAnswer:", " 1 + 1 = <<1+1=2>>2\n#### 2")]
    [InlineData("""{"prompt": "p", "completion": "c"}""", "p", "c")]
    [InlineData("""{"query": "Q?", "response": "So. The answer is: 2", "type": "x"}""", "Question: Q?\nAnswer:", " So. The answer is: 2")]
    [InlineData("""{"instruction": "Add", "output": "2", "source": "x"}""", "Question: Add\nAnswer:", " 2")]
    [InlineData("""{"instruction": "Add", "input": "1 1", "output": "2"}""", "Question: Add\n1 1\nAnswer:", " 2")]
    [InlineData("""{"input": "Q?", "code": "", "target": 51.0}""", "Question: Q?\nAnswer:", " #### 51")]
    [InlineData("""{"input": "Q?", "target": -2.5}""", "Question: Q?\nAnswer:", " #### -2.5")]
    public void Parse_GivenEveryRecordFormat_ShouldFindPromptAndCompletion(string record, string prompt, string completion)
    {
        foreach (string content in new[] { record, $"\n{record}\r\n\n", $"[{record}]", $"\uFEFF [\n {record}\n]\n" })
        {
            Assert.Equal(new PromptCompletionExample("f", prompt, completion), Assert.Single(Parse(content)) with { Location = "f" });
        }
    }

    [Fact]
    public void Parse_GivenTokenisedRecords_ShouldTakeThemAsTheyAre()
    {
        TokenizedExample[] examples = [.. Parse("{\"input_ids\":[1,2],\"labels\":[-100,2]}\n{\"input_ids\":[3]}").Cast<TokenizedExample>()];
        Assert.Equal([1, 2], examples[0].InputIds);
        Assert.Equal([-100, 2], examples[0].Labels);
        Assert.Equal([3], examples[1].Labels);
        Assert.Equal("data.jsonl, line 2", examples[1].Location);
    }

    [Fact]
    public void Parse_GivenPlainText_ShouldSplitItsDocuments()
    {
        ExampleReader reader = new();
        Assert.Equal(["One.", "Two.\n\nThree."], reader.Parse("One.\n<|endoftext|>\n Two.\n\nThree.\n<|endoftext|>"u8.ToArray(), "a.txt").Cast<TextExample>().Select(example => example.Text));
    }

    [Fact]
    public void Parse_GivenMarksToRemove_ShouldRemoveThem()
    {
        ExampleReader reader = new() { KeepCalculatorMarks = false };
        PromptCompletionExample example = (PromptCompletionExample)reader.Parse("""{"question": "Q?", "answer": "1+1=<<1+1=2>>2, << 3\n#### 2"}"""u8.ToArray(), "f")[0];
        Assert.Equal(" 1+1=2, << 3\n#### 2", example.Completion);
    }

    [Theory]
    [InlineData("{\"question\": \"Q?\", \"answer\": \"two\"}", "line 1", "####")]
    [InlineData("{\"question\": \"Q?\", \"answer\": \"two ####\\n \"}", "line 1", "####")]
    [InlineData("\n\n{\"question\": \"Q?\"}", "line 3", "\"answer\" is missing")]
    [InlineData("{\"question\": 5, \"answer\": \"#### 1\"}", "line 1", "a number, needed is a string")]
    [InlineData("{\"question\": \" \", \"answer\": \"#### 1\"}", "line 1", "empty")]
    [InlineData("{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", \"completion\": ", "line 2", "not a valid JSON")]
    [InlineData("{\"prompt\": \"a\", \"completion\": \"b\"}\nhello", "line 2", "not a valid JSON")]
    [InlineData("{\"prompt\": \"a\", \"completion\": \"b\", \"prompt\": \"c\"}", "line 1", "not a valid JSON")]
    [InlineData("[\n{\"prompt\": \"a\", \"completion\": \"b\"},\n{\"prompt\": 1}]", "line 3", "needed is a string")]
    [InlineData("[\n{\"prompt\": \"a\", \"completion\": \"b\"},\n5]", "line 3", "JSON object")]
    [InlineData("[\n{\"prompt\": \"a\", \"completion\": \"b\"},\n", "line 3", "not a valid JSON")]
    [InlineData("[{\"prompt\": \"a\", \"completion\": \"b\"}]\n\nx", "line 3", "not a valid JSON")]
    [InlineData("{\"prompt\": \"\\ud800\", \"completion\": \"b\"}", "line 1", "surrogate")]
    [InlineData("{\"input_ids\": [1, 2.5]}", "line 1", "index 1")]
    [InlineData("{\"input_ids\": [1, 99999999999]}", "line 1", "index 1")]
    [InlineData("{\"input_ids\": [1, -100]}", "line 1", "negative")]
    [InlineData("{\"input_ids\": [1], \"labels\": [1, 2]}", "line 1", "2 labels")]
    [InlineData("{\"input_ids\": []}", "line 1", "at least one id")]
    [InlineData("{\"input\": \"Q?\", \"target\": 1e999}", "line 1", "1e999")]
    [InlineData("{\"foo\": 1}", "line 1", "no known format")]
    [InlineData("", "data.jsonl", "no record")]
    [InlineData(" \n\r\n", "data.jsonl", "no record")]
    [InlineData("[]", "data.jsonl", "no record")]
    public void Parse_GivenABadFile_ShouldNameTheLineAndTheFault(string content, string place, string fault)
    {
        string message = Assert.Throws<UserErrorException>(() => Parse(content)).Message;
        Assert.Contains(place, message, StringComparison.Ordinal);
        Assert.Contains(fault, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Load_GivenNoFile_ShouldSayWhich() =>
        Assert.Contains("nowhere.jsonl", Assert.Throws<UserErrorException>(() => new ExampleReader().Load("nowhere.jsonl")).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_GivenMutatedFiles_ShouldGiveExamplesOrAUserError()
    {
        byte[][] seeds =
        [
            .. new[]
            {
                "{\"question\": \"Q?\", \"answer\": \"x\\u00e9\\n#### 2\"}\n{\"question\": \"R?\", \"answer\": \"#### 3\"}\n",
                "[{\"input_ids\": [1, 2], \"labels\": [-100, 2]}, {\"input_ids\": [3]}]",
                "{\"input\": \"Q\", \"target\": 1.5e3}",
                "{\"prom\\ud800t\": \"a\", \"completion\": \"\\udc00\", \"prompt\": \"\\ud83d\\ude00\"}",
                "{\"text\": \"caf\u00e9 \U0001F600\"}",
            }.Select(Encoding.UTF8.GetBytes),
        ];
        Gen<byte[]> mutated =
            from seed in Gen.Elements(seeds)
            from edits in Gen.ListOf(Gen.Choose(0, seed.Length - 1).SelectMany(at => Gen.Choose(0, 255).Select(value => (at, (byte)value))))
            from cut in Gen.Choose(0, seed.Length)
            select Edit(seed, edits, cut);
        Gen<byte[]> content = Gen.OneOf(mutated, ArbMap.Default.GeneratorFor<byte[]>());
        Prop.ForAll(Arb.From(content), bytes => ResultOrUserError(bytes, "a.jsonl") && ResultOrUserError(bytes, "a.txt"))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    [Fact]
    public void Parse_GivenDeepNesting_ShouldRefuse() =>
        Assert.Throws<UserErrorException>(() => Parse(new string('[', 100_000)));

    [Fact]
    public void Load_GivenTheSharedDataSets_ShouldReadThemAll()
    {
        Assert.Equal(7473, GsmProblem.Load(RepositoryPaths.Shared("data", "gsm8k", "train.jsonl")).Count);
        IReadOnlyList<GsmProblem> hard = GsmProblem.Load(RepositoryPaths.Shared("data", "math", "gsm_hard.jsonl"));
        Assert.Equal(1319, hard.Count);
        Assert.All(hard, problem => Assert.Matches(@"^-?[0-9.]+(E[-+][0-9]+)?$", problem.FinalAnswer));
        Assert.Equal(1000, GsmProblem.Load(RepositoryPaths.Shared("data", "math", "svamp.jsonl")).Count);
    }

    private static IReadOnlyList<TrainingExample> Parse(string content) => new ExampleReader().Parse(Encoding.UTF8.GetBytes(content), "data.jsonl");

    private static byte[] Edit(byte[] seed, IEnumerable<(int At, byte Value)> edits, int cut)
    {
        byte[] copy = [.. seed];
        foreach ((int at, byte value) in edits)
        {
            copy[at] = value;
        }

        return cut % 3 == 0 ? copy[..cut] : copy;
    }

    private static bool ResultOrUserError(byte[] content, string name)
    {
        try
        {
            return new ExampleReader().Parse(content, name).Count > 0;
        }
        catch (UserErrorException)
        {
            return true;
        }
    }
}
