using Spectre.Console;

namespace PureQLora.Tools.Tests;

/// <summary>Runs the tools inside the test's process, with everything they print captured.</summary>
internal static class Tool
{
    private static readonly Lock Gate = new();

    public static ToolResult Bench(params string[] arguments) => Run(PureQLora.Tools.Bench.Program.Main, arguments);

    public static ToolResult Evaluate(params string[] arguments) => Run(PureQLora.Tools.Evaluate.Program.Main, arguments);

    public static ToolResult Export(params string[] arguments) => Run(PureQLora.Tools.Export.Program.Main, arguments);

    public static ToolResult Generate(params string[] arguments) => Run(PureQLora.Tools.Generate.Program.Main, arguments);

    public static ToolResult Inspect(params string[] arguments) => Run(PureQLora.Tools.Inspect.Program.Main, arguments);

    public static ToolResult Quantize(params string[] arguments) => Run(PureQLora.Tools.Quantize.Program.Main, arguments);

    public static ToolResult Train(params string[] arguments) => Run(PureQLora.Tools.Train.Program.Main, arguments);

    /// <summary>Runs a tool's entry point. The console is one a process, so runs wait for each other.</summary>
    /// <param name="main">The entry point.</param>
    /// <param name="arguments">The command line.</param>
    /// <param name="output">Gets standard output; null captures it.</param>
    public static ToolResult Run(Func<string[], int> main, string[] arguments, TextWriter? output = null)
    {
        lock (Gate)
        {
            (TextWriter standardOutput, TextWriter standardError, IAnsiConsole ansi) = (System.Console.Out, System.Console.Error, AnsiConsole.Console);
            using TextWriter captured = output ?? new StringWriter { NewLine = "\n" };
            using StringWriter error = new() { NewLine = "\n" };
            try
            {
                System.Console.SetOut(captured);
                System.Console.SetError(error);
                AnsiConsole.Console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(captured) });
                int exitCode = main(arguments);
                return new ToolResult(exitCode, captured.ToString()!, error.ToString());
            }
            finally
            {
                System.Console.SetOut(standardOutput);
                System.Console.SetError(standardError);
                AnsiConsole.Console = ansi;
            }
        }
    }
}
