using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>A word problem with its worked solution, as GSM8K has them.</summary>
/// <param name="Question">The problem.</param>
/// <param name="Answer">The solution, step by step, ending in <c>#### n</c>.</param>
public sealed record GsmProblem(string Question, string Answer)
{
    private const string Marker = "####";

    /// <summary>What stands behind the last <c>####</c>.</summary>
    public string FinalAnswer => Answer[(Answer.LastIndexOf(Marker, StringComparison.Ordinal) + Marker.Length)..].Trim();

    /// <summary>The same problem without calculator marks in its solution.</summary>
    public GsmProblem WithoutCalculatorMarks() => this with { Answer = CalculatorMarks.Remove(Answer) };

    /// <summary>Reads one record: GSM8K's <c>question</c>/<c>answer</c>, or GSM-Hard's and SVAMP's <c>input</c>/<c>target</c>, which have no steps.</summary>
    /// <exception cref="UserErrorException">A field is missing or of the wrong type, or the answer has no final number.</exception>
    public static GsmProblem From(DataRecord record)
    {
        if (!record.Has("question") && record.Has("input") && record.Has("target"))
        {
            return new(record.NonEmptyText("input"), $"{Marker} {record.NumberText("target")}");
        }

        GsmProblem problem = new(record.NonEmptyText("question"), record.Text("answer"));
        if (!problem.Answer.Contains(Marker, StringComparison.Ordinal) || problem.FinalAnswer.Length == 0)
        {
            throw new UserErrorException($"{record.Location}: the answer has no final number behind \"{Marker}\". End every solution with a line like \"{Marker} 18\".");
        }

        return problem;
    }

    /// <summary>Reads a file of problems, JSON lines or one JSON array.</summary>
    /// <exception cref="UserErrorException">The file cannot be read, is empty or holds something else.</exception>
    public static IReadOnlyList<GsmProblem> Load(string path) => DataFile.Load(path, From);
}
