using System.CommandLine;

namespace PureQLora.Tools.Evaluate;

/// <summary>Measures models.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(
        new RootCommand("Measures models: exact match on GSM8K, perplexity, and scores of existing texts.")
        {
            Gsm8kCommand.Create(),
            PerplexityCommand.Create(),
            ScoreCommand.Create(),
        },
        arguments);
}
