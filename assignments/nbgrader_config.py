"""How nbgrader releases and grades these assignments; it reads this file when started in this folder."""

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "collab_seg"
c.ClearSolutions.code_stub = {"python": "return None  # not done yet: your code goes here"}
c.Execute.timeout = 300  # seconds a cell may take; importing torch on a busy machine can take one of them
c.Execute.startup_timeout = 300
c.ExportApp.log_level = "WARN"
